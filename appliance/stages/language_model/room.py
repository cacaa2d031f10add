"""What is free for a training where it will compute."""

from __future__ import annotations

import psutil
import torch

from appliance.domain.memory import GPU_CONTEXT, Room
from appliance.processes.room import host_memory
from appliance.stages.language_model.device import Device


def room_of(device: Device) -> Room:
    """The device's memory, what this process has taken of it already counted as free: a plan counts all from nothing."""
    half = device.dtype == torch.bfloat16
    if device.kind == "cpu":
        free, total = host_memory()
        return Room(kind="cpu", name=device.name, free=free + psutil.Process().memory_info().rss, total=total, half_precision=half)
    free, total = torch.cuda.mem_get_info(device.torch_device)
    # The context is there since the device was asked; torch's own pool can be used again.
    ours = GPU_CONTEXT + torch.cuda.memory_reserved(device.torch_device)
    return Room(kind="cuda", name=device.name, free=min(total, free + ours), total=total, half_precision=half)

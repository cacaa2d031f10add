"""Probe: do the heavy libraries of this machine compute what they should? Answers in a few seconds, writes nothing."""

from __future__ import annotations

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Metric, Notice
from appliance.domain.spec import ProbeSpec

NF4_ERROR_LIMIT = 0.12
"""Relative error of NF4 on normally distributed weights is 0.09 (data type: Dettmers et al. 2023, QLoRA, appendix E); more is a defect."""


def run(spec: ProbeSpec, emit: Emit) -> None:
    """Quantize and restore a random matrix as NF4 on the device that training would use, and tell what was found."""
    import bitsandbytes as bnb
    import torch

    cuda = torch.cuda.is_available()
    if spec.device == "cuda" and not cuda:
        raise ApplianceError("gpu_missing", ExitCode.NO_ROOM)
    device = torch.device("cuda" if cuda and spec.device != "cpu" else "cpu")
    weights = torch.randn(256, 256, generator=torch.Generator().manual_seed(7)).to(device)
    packed, state = bnb.functional.quantize_4bit(weights, quant_type="nf4", compress_statistics=True)
    restored = bnb.functional.dequantize_4bit(packed, state)
    error = float(torch.linalg.norm(restored - weights) / torch.linalg.norm(weights))
    emit(Metric("nf4_relative_error", 0, error))
    emit(Metric("gpu_memory", 0, float(torch.cuda.mem_get_info()[1]) if cuda else 0.0))
    name = torch.cuda.get_device_name() if cuda else "cpu"
    emit(Notice("info", "probe_done", {"torch": str(torch.__version__), "bitsandbytes": bnb.__version__, "device": name, "error": error}))
    if error > NF4_ERROR_LIMIT:
        raise ApplianceError("nf4_wrong", ExitCode.RUN_FAILED, error=error, limit=NF4_ERROR_LIMIT)

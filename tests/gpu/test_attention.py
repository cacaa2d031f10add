"""Variable-length attention on a GPU is attention row by row, for rows of real lengths."""

from __future__ import annotations

import pytest
import torch

from appliance.stages.language_model import attention
from appliance.stages.language_model.attention import Segments, pack_attention
from appliance.stages.language_model.device import Device

pytestmark = pytest.mark.gpu

LENGTHS = (1, 700, 64, 333, 2, 900, 48)
"""A pack of 2,048 tokens: rows of one token, of whole tiles, and of odd ends."""


def states(device: torch.device, dtype: torch.dtype, heads: int, groups: int, size: int) -> list[torch.Tensor]:
    """Query, key and value of the pack."""
    torch.manual_seed(4)
    return [torch.randn(1, count, sum(LENGTHS), size, device=device, dtype=dtype).requires_grad_() for count in (heads, groups, groups)]


def attended(parts: list[torch.Tensor], segments: Segments) -> list[torch.Tensor]:
    """What comes out, and the gradients of all that goes in."""
    query, key, value = parts
    found = pack_attention(torch.nn.Module(), query, key, value, None, segments=segments)[0]
    torch.manual_seed(5)
    return [found.detach(), *torch.autograd.grad((found * torch.randn_like(found)).sum(), parts)]


@pytest.mark.parametrize("shape", [(14, 2, 64), (28, 4, 128), (8, 8, 64)], ids=["qwen-0.5b", "qwen-7b", "no-groups"])
def test_kernel_is_row_by_row(gpu: Device, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients of the kernel are those of torch's attention on each row by itself."""
    segments = Segments.of(LENGTHS) if gpu.kind == "cpu" else Segments.of(LENGTHS).to(gpu.torch_device)
    parts = states(gpu.torch_device, gpu.dtype, *shape)
    if gpu.kind == "cuda" and torch.cuda.get_device_capability() >= (8, 0):
        assert attention._kernel_takes(parts[0], None), "a GPU of compute capability 8.0 must take the kernel"
    by_kernel = attended(parts, segments)
    monkeypatch.setattr(attention, "_kernel_takes", lambda *_arguments: False)
    by_row = attended(parts, segments)
    for one, other in zip(by_kernel, by_row, strict=True):
        assert ((one.float() - other.float()).norm() / other.float().norm()).item() <= 1e-2


def test_neighbours_move_nothing(gpu: Device) -> None:
    """A row's values are bit for bit the same whatever the rows beside it hold."""
    segments = Segments.of(LENGTHS) if gpu.kind == "cpu" else Segments.of(LENGTHS).to(gpu.torch_device)
    parts = states(gpu.torch_device, gpu.dtype, 14, 2, 64)
    begin, end = sum(LENGTHS[:3]), sum(LENGTHS[:4])
    query, key, value = parts
    own = pack_attention(torch.nn.Module(), query, key, value, None, segments=segments)[0][:, begin:end]
    others = [part.detach().clone() for part in parts]
    for part in others:
        part[:, :, :begin] = part[:, :, :begin].flip(2) * 3
        part[:, :, end:] = 0
    query, key, value = others
    again = pack_attention(torch.nn.Module(), query, key, value, None, segments=segments)[0][:, begin:end]
    assert torch.equal(own, again)

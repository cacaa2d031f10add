"""Attention for packs: each row as if it were alone, by every way that computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from appliance.stages.language_model import attention
from appliance.stages.language_model.attention import PACK_ATTENTION, Segments, pack_attention, takes_packs
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base
from tests.stages.export.tiny_base import make_base

LENGTHS = (9, 1, 30, 4, 4)
HEADS, GROUPS, SIZE = 6, 2, 8


def states(*, dtype: torch.dtype = torch.float64, device: str = "cpu", size: int = SIZE) -> list[torch.Tensor]:
    """Query, key and value of a pack, with fewer heads for key and value."""
    torch.manual_seed(4)
    shapes = [(1, heads, sum(LENGTHS), size) for heads in (HEADS, GROUPS, GROUPS)]
    return [torch.randn(shape, dtype=dtype, device=device, requires_grad=True) for shape in shapes]


def by_definition(parts: Sequence[torch.Tensor], scaling: float | None, window: int | None) -> torch.Tensor:
    """Softmax over the tokens of the same row up to each token, at most ``window`` of them: (1, tokens, heads, size)."""
    query, key, value = parts[0], *(part.repeat_interleave(HEADS // GROUPS, dim=1) for part in parts[1:])
    scores = query @ key.transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
    row = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS)).to(query.device)
    place = torch.arange(len(row), device=query.device)
    back = place[:, None] - place[None]
    seen = (row[:, None] == row[None]) & (back >= 0) & (back < (window or len(row)))
    return (scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value).transpose(1, 2)


def both_ways(parts: Sequence[torch.Tensor], compute: Callable[[Sequence[torch.Tensor]], torch.Tensor]) -> list[torch.Tensor]:
    """What comes out, and the gradients of all that goes in for an arbitrary weighting of it."""
    found = compute(parts)
    torch.manual_seed(5)
    weights = torch.randn(found.shape, dtype=torch.float64).to(found)
    return [found.detach(), *torch.autograd.grad((found * weights).sum(), parts)]


def packed(scaling: float | None, window: int | None, device: str = "cpu") -> Callable[[Sequence[torch.Tensor]], torch.Tensor]:
    """Our attention over the rows of a pack."""
    segments = Segments.of(LENGTHS) if device == "cpu" else Segments.of(LENGTHS).to(torch.device(device))

    def compute(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        query, key, value = parts
        return pack_attention(torch.nn.Module(), query, key, value, None, 0.0, scaling, segments=segments, sliding_window=window)[0]

    return compute


@pytest.mark.parametrize("scaling", [None, 0.3])
@pytest.mark.parametrize("window", [None, 1, 5, 30, 99])
def test_row_by_row_is_the_definition(scaling: float | None, window: int | None) -> None:
    """Values and gradients are those of attention by its definition, with a sliding window as without, for rows of one token, too."""
    expected = both_ways(states(), lambda parts: by_definition(parts, scaling, window))
    torch.testing.assert_close(both_ways(states(), packed(scaling, window)), expected)


@pytest.mark.parametrize("version", ["2.10", "2.13"])
@pytest.mark.parametrize("window", [None, 5])
def test_each_version_of_the_kernel_is_called_as_it_wants(monkeypatch: pytest.MonkeyPatch, version: str, window: int | None) -> None:
    """Older kernels know neither grouped heads nor windows nor scales, and get what they know; the result is the same."""
    if version == "2.10" and window is not None:
        pytest.skip("that kernel is not asked for windows")

    def dense(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, scale: float, back: int) -> torch.Tensor:
        assert bounds.tolist() == [0, 9, 10, 40, 44, 48] and bounds.dtype == torch.int32
        assert query.shape[1] == HEADS
        parts = [part.transpose(0, 1)[None] for part in (query, key[:, :: key.shape[1] // GROUPS], value[:, :: value.shape[1] // GROUPS])]
        return by_definition(parts, scale, back)[0]

    def old(query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, is_causal: bool = False) -> Any:
        assert is_causal and max_q == max_k == 30 and key.shape[1] == HEADS
        return dense(query, key, value, cu_seq_q, SIZE**-0.5, 99)

    def new(
        query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *, scale: float | None = None,
        window_size: tuple[int, int] = (-1, -1), enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        assert enable_gqa and window_size[1] == 0 and key.shape[1] == GROUPS
        return dense(query, key, value, cu_seq_k, scale or 0.0, 99 if window_size[0] < 0 else window_size[0] + 1)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", old if version == "2.10" else new)
    monkeypatch.setattr(attention, "_kernel_takes", lambda *_arguments: True)
    attention._kernel.cache_clear()
    try:
        found = both_ways(states(), packed(0.3, window))
    finally:
        attention._kernel.cache_clear()
    torch.testing.assert_close(found, both_ways(states(), lambda parts: by_definition(parts, 0.3, window)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("window", [None, 5])
def test_a_gpu_computes_the_same(dtype: torch.dtype, window: int | None) -> None:
    """On a GPU the kernel (half precision) and the rows one by one (float32) give the definition's values and gradients."""
    parts = states(dtype=dtype, device="cuda", size=64)
    found = both_ways(parts, packed(None, window, "cuda"))
    expected = both_ways([part.detach().double().requires_grad_() for part in parts], lambda wide: by_definition(wide, None, window))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() / theirs.norm() < (1e-5 if dtype == torch.float32 else 2e-2)


def test_a_pack_has_no_cache() -> None:
    """Segments together with keys of earlier tokens, or with several sequences, are a mistake and not computed."""
    query, key, value = states()
    with pytest.raises(ValueError, match="cache"):
        pack_attention(torch.nn.Module(), query[:, :, :5], key, value, None, segments=Segments.of((5,)))


def test_no_mask_is_ever_made(tmp_path: Path, cpu: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack goes through the whole model without a mask, also where the model has a sliding window."""
    settings: dict[str, Any] = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
    model = load_base(make_base(tmp_path / "base", "qwen2", **settings), cpu, quantize=False)
    assert takes_packs(model)
    monkeypatch.setattr(attention, "sdpa_mask", lambda **_arguments: pytest.fail("a mask was made"))
    ids = torch.arange(sum(LENGTHS))[None] + 3
    positions = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    found = model.model(input_ids=ids, position_ids=positions, use_cache=False, segments=Segments.of(LENGTHS)).last_hidden_state
    monkeypatch.undo()
    model.set_attn_implementation("sdpa")
    rows = torch.split(ids, list(LENGTHS), dim=1)
    expected = torch.cat([model.model(input_ids=row, use_cache=False).last_hidden_state for row in rows], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_segments_it_is_sdpa(base: Path, cpu: Device) -> None:
    """Rows that are no pack are computed as ever: padded on the right without a mask, on the left with one, and with a cache."""
    model = load_base(base, cpu, quantize=False)
    ids = torch.randint(3, 300, (3, 20), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, :7] = 0
    found = []
    for name in (PACK_ATTENTION, "sdpa"):
        model.set_attn_implementation(name)
        said = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=6, pad_token_id=0)
        found.append((model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits, said))
    torch.testing.assert_close(found[0], found[1])

"""The fast quantizer against ggml's own: the same bytes, whatever the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.domain.recipe import ExportRecipe
from appliance.stages.export import fast_quantizer, quantizer
from appliance.stages.export.fast_quantizer import KINDS, REFERENCE, WORTHWHILE_ELEMENTS, chosen_quantizer, quantize_rows, refusal
from appliance.stages.export.fast_quantizer.compiled_code import cache_folder
from tests.stages.export.conftest import Export
from tests.stages.export.tiny_base import make_adapter, make_base

Rows = NDArray[np.float32]
COLUMNS = 1024
RANDOM = np.random.default_rng(11)


def normal(rows: int = 40, columns: int = COLUMNS) -> Rows:
    """Weights as models have them."""
    return RANDOM.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)


def f32(values: NDArray[np.float64]) -> Rows:
    """Rounded to f32."""
    return values.astype(np.float32)


def with_scales(block: int, lowest: float) -> Rows:
    """Neighbouring blocks of very different size, so that some small blocks' stored scale is 0."""
    rows = normal()
    sizes = 10.0 ** RANDOM.uniform(lowest, 3, (rows.size // block, 1))
    return f32(rows.reshape(-1, block) * sizes).reshape(rows.shape)


def any_bits() -> Rows:
    """Every finite f32 is as likely as every other."""
    values = RANDOM.integers(0, 2**32, (40, COLUMNS), dtype=np.uint32).view(np.float32)
    return np.where(np.isfinite(values), values, np.float32(0))


def with_outliers() -> Rows:
    """A few values a thousand times as large as the rest."""
    rows = normal()
    rows[:, ::97] *= 1000
    return rows


def sparse() -> Rows:
    """Mostly zeros, of both signs."""
    rows = normal()
    rows[RANDOM.random(rows.shape) < 0.6] = -0.0
    rows[RANDOM.random(rows.shape) < 0.6] = 0.0
    return rows


WEIGHTS: dict[str, Callable[[], Rows]] = {
    "normal": normal,
    "bf16": lambda: (normal().view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32),
    "heavy-tailed": lambda: f32(RANDOM.standard_t(3, (40, COLUMNS)) * 0.01),
    "extreme-tailed": lambda: f32(RANDOM.standard_cauchy((40, COLUMNS))),
    "outliers": with_outliers,
    "sparse": sparse,
    "zero": lambda: np.zeros((3, COLUMNS), np.float32),
    "constant": lambda: np.repeat(RANDOM.standard_normal((40, 1), dtype=np.float32), COLUMNS, axis=1),
    "negative": lambda: -np.abs(normal()),
    "positive": lambda: np.abs(normal()),
    "far from zero": lambda: normal() + np.float32(7),
    "two values": lambda: f32(RANDOM.choice([-1.0, 1.0], (40, COLUMNS))),
    "small integers": lambda: f32(RANDOM.integers(-8, 8, (40, COLUMNS)).astype(np.float64)),
    "blocks of other sizes": lambda: with_scales(32, -12),
    "halves of other sizes": lambda: with_scales(16, -40),
    "any bits": any_bits,
    **{f"times {size:g}": lambda size=size: normal() * np.float32(size) for size in (1e-43, 1e-37, 1e-28, 1e-14, 1e-6, 1e7, 1e17, 1e36)},  # type: ignore[misc]  # mypy: lambdas with defaults
}

IMPORTANCE: dict[str, Callable[[], Rows | None]] = {
    "unweighted": lambda: None,
    "weighted": lambda: RANDOM.random(COLUMNS, dtype=np.float32) + np.float32(0.01),
    "many weights zero": lambda: np.maximum(RANDOM.standard_normal(COLUMNS, dtype=np.float32), np.float32(0)),
    "tiny weights": lambda: RANDOM.random(COLUMNS, dtype=np.float32) * np.float32(1e-22),
    "heavy-tailed weights": lambda: f32(np.exp(RANDOM.standard_normal(COLUMNS) * 4)),
}


def outcome(quantize: quantizer.Quantize, rows: Rows, kind: Kind, importance: Rows | None) -> bytes:
    """The bytes, or that the values do not fit."""
    try:
        return quantize(rows, kind, importance).tobytes()
    except OverflowError:
        return b"overflow"


@pytest.mark.parametrize("importance", IMPORTANCE)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_bytes_are_ggmls_own(weights: str, importance: str) -> None:
    """Every type, with and without importance, over weights that models have and weights that they should not have."""
    rows, columns = WEIGHTS[weights](), IMPORTANCE[importance]()
    for kind in KINDS:
        assert outcome(quantize_rows, rows, kind, columns) == outcome(quantizer.quantize_rows, rows, kind, columns), kind.name


@pytest.mark.parametrize("importance", IMPORTANCE)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_torch_operations_give_the_same_bytes(weights: str, importance: str) -> None:
    """What runs on a GPU, here on the processor: every type, with and without importance."""
    on_processor = partial(fast_quantizer.quantize_on_device, device="cpu")
    rows, columns = WEIGHTS[weights]()[:3], IMPORTANCE[importance]()
    for kind in KINDS:
        assert outcome(on_processor, rows, kind, columns) == outcome(quantizer.quantize_rows, rows, kind, columns), kind.name


@pytest.mark.gpu
def test_gpu_gives_the_same_bytes() -> None:
    """On the GPU itself, over all kinds of weights."""
    different = [
        (weights, importance, kind.name)
        for weights, rows in ((name, make()) for name, make in WEIGHTS.items())
        for importance, columns in ((name, make()) for name, make in IMPORTANCE.items())
        for kind in KINDS
        if outcome(fast_quantizer.quantize_on_device, rows, kind, columns) != outcome(quantizer.quantize_rows, rows, kind, columns)
    ]
    assert not different


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 20),
    columns=st.integers(1, 5).map(lambda blocks: 256 * blocks),
    spread=st.floats(0, 6),
    kind=st.sampled_from(KINDS),
    weighted=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_number_of_blocks_is_equal(seed: int, rows: int, columns: int, spread: float, kind: Kind, weighted: bool) -> None:
    """Blocks are worked on in groups; whatever is left over at the end, and wherever a row ends, the bytes are ggml's."""
    random = np.random.default_rng(seed)
    values = f32(random.standard_normal((rows, columns)) * np.exp(random.standard_normal((rows, columns)) * spread))
    importance = random.random(columns, dtype=np.float32) if weighted else None
    assert outcome(quantize_rows, values, kind, importance) == outcome(quantizer.quantize_rows, values, kind, importance)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_disturb_each_other(kind: Kind) -> None:
    """The lock is released, so threads work at once, each on rows of its own."""
    pieces = [normal() for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda rows: quantize_rows(rows, kind).tobytes(), pieces))
    assert found == [quantizer.quantize_rows(rows, kind).tobytes() for rows in pieces]


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q5_0, Kind.F16, Kind.BF16, Kind.F32])
def test_other_types_are_left_to_ggml(kind: Kind) -> None:
    """Types without a search, and rows that K-quants do not divide."""
    rows = normal(columns=96)
    assert quantize_rows(rows, kind).tobytes() == quantizer.quantize_rows(rows, kind).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused(kind: Kind) -> None:
    """A scale beyond f16 raises OverflowError, as ggml's validation does."""
    with pytest.raises(OverflowError):
        quantize_rows(normal() * np.float32(1e12), kind)


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    """The answer to whether the fast quantizer is right here is kept for a process; forget it."""
    refusal.cache_clear()
    yield
    refusal.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
def test_it_is_chosen_where_it_is_worth_it_and_right() -> None:
    """Large files of K-quants are quantized by the fast one when that is asked for, all others by ggml."""
    assert chosen_quantizer("fast", WORTHWHILE_ELEMENTS).name == "fast"
    assert chosen_quantizer("reference", WORTHWHILE_ELEMENTS) is REFERENCE
    assert chosen_quantizer("fast", WORTHWHILE_ELEMENTS - 1) is REFERENCE


@pytest.mark.usefixtures("_asked_anew")
def test_one_wrong_bit_is_enough_to_do_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor or another build of ggml gives other bytes, ggml's are written, and the reason is told."""

    def wrong(rows: Rows, kind: Kind, importance: Rows | None = None) -> NDArray[np.uint8]:
        blocks = quantizer.quantize_rows(rows, kind, importance)
        blocks[-1] ^= kind is Kind.Q6_K and importance is not None
        return blocks

    monkeypatch.setitem(fast_quantizer._WAYS, "fast", wrong)
    chosen = chosen_quantizer("fast", WORTHWHILE_ELEMENTS)
    assert (chosen.name, chosen.quantize, chosen.refused) == ("reference", quantizer.quantize_rows, "fast_quantizer_differs")


@pytest.mark.usefixtures("_asked_anew")
def test_without_a_gpu_the_processor_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the GPU where there is none gets the fast one, and is told; without numba, ggml's."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    chosen = chosen_quantizer("gpu", WORTHWHILE_ELEMENTS)
    assert (chosen.name, chosen.refused) == ("fast", "fast_quantizer_no_gpu")

    def absent(rows: Rows, kind: Kind, importance: Rows | None = None) -> NDArray[np.uint8]:
        raise ImportError("numba")

    refusal.cache_clear()
    monkeypatch.setitem(fast_quantizer._WAYS, "fast", absent)
    assert chosen_quantizer("fast", WORTHWHILE_ELEMENTS).refused == "fast_quantizer_missing"
    assert chosen_quantizer("gpu", WORTHWHILE_ELEMENTS).name == "reference"


def test_whole_file_is_the_same(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exported with an adapter by the fast quantizer and by ggml's: one file, and it says which one it was."""
    base = make_base(tmp_path / "base", hidden_size=256, intermediate_size=512, num_attention_heads=8)
    adapter = make_adapter(tmp_path / "adapter", base)
    monkeypatch.setattr(fast_quantizer, "WORTHWHILE_ELEMENTS", 0)
    fast, reference = (
        export(base, adapter, name="m", check=False, recipe=ExportRecipe(quantizer=name), output=tmp_path / f"{name}.gguf")
        for name in ("fast", "reference")
    )
    assert fast.sha256 == reference.sha256
    assert (fast.facts["quantizer"], reference.facts["quantizer"]) == ("fast", "reference")


def test_compiled_code_is_kept_where_there_is_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the appliance's cache; without a writable place each process compiles for itself."""
    cache_folder.cache_clear()
    monkeypatch.setenv("GREENWAVE_CACHE", str(tmp_path))
    kept = cache_folder()
    assert kept is not None
    assert kept.parent == tmp_path / "compiled"
    cache_folder.cache_clear()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GREENWAVE_CACHE", str(tmp_path / "file"))
    assert cache_folder() is None
    cache_folder.cache_clear()

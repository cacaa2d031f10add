"""The memory of a training by formula: parts, checkpointing, the nearest recipe that fits, presets fitted to a machine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.fitting import fit, nearest, smaller_load
from appliance.domain.memory import Load, Room, memory_of, recomputed_blocks, shape_of, trained_parameters
from appliance.domain.methods import METHODS
from appliance.domain.preset_fitting import fit_preset
from appliance.domain.presets import PRESETS
from appliance.domain.recipe import TrainingRecipe, build_recipe

QWEN_7B: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
}
SHAPE = shape_of(QWEN2, QWEN_7B)
LOAD = Load(tokens=4096, trained=2048, longest=1024)


def gpu(gigabytes: float) -> Room:
    """A GPU with so much free memory."""
    return Room(kind="cuda", name="GPU", free=int(gigabytes * 1e9), total=int(gigabytes * 1e9), half_precision=True)


def test_shape_is_read_from_the_config() -> None:
    """Qwen2.5-7B has 7.6 billion parameters, 6.5 of them in linear layers, and embedding and head of 0.5 each."""
    assert SHAPE.parameters == 7_615_616_512
    assert SHAPE.linear_parameters == 6_525_288_448
    assert SHAPE.outer_parameters == 2 * 152_064 * 3584


def test_trained_parameters_are_the_published_ones() -> None:
    """Rank 16 on all linear layers of a 7 B base trains 40.4 million numbers, rank 64 161 million."""
    counts = [trained_parameters(SHAPE, QWEN2, TrainingRecipe(rank=rank)) for rank in (16, 64)]
    assert counts == [40_370_176, 161_480_704]
    assert trained_parameters(SHAPE, QWEN2, TrainingRecipe(method="full")) == SHAPE.parameters


def test_floor_of_a_7b_base() -> None:
    """NF4 weights and scales take 3.36 GB, embedding and head in bfloat16 2.18 GB."""
    memory = memory_of(SHAPE, QWEN2, TrainingRecipe(), gpu(24), LOAD, SHAPE.blocks)
    assert memory.weights == pytest.approx(3.36e9, rel=0.01)
    assert memory.embeddings == pytest.approx(2.18e9, rel=0.01)
    assert memory.total == sum(memory.parts().values())


def test_recomputing_takes_less() -> None:
    """The more blocks recompute, the less is kept; all of them keep little more than what enters each block."""
    kept = [memory_of(SHAPE, QWEN2, TrainingRecipe(), gpu(24), LOAD, recomputed).activations for recomputed in (0, 7, 14, 28)]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < kept[0] / 8
    assert [recomputed_blocks(28, every) for every in (0, 1, 2, 8)] == [0, 28, 14, 4]


@pytest.mark.parametrize(("gigabytes", "least", "most"), [(80, 0, 0), (24, 1, 8), (14, 1, 2)])
def test_auto_recomputes_as_little_as_possible(gigabytes: float, least: int, most: int) -> None:
    """A large GPU keeps all activations, a smaller one recomputes in some or all blocks, and the choice fits."""
    found = fit(SHAPE, QWEN2, TrainingRecipe(), gpu(gigabytes), LOAD)
    assert found.fits
    assert least <= found.every <= most


def test_what_the_recipe_says_is_done() -> None:
    """Only ``auto`` looks at the memory; prefix tuning cannot recompute whatever is said."""
    room = gpu(80)
    assert fit(SHAPE, QWEN2, TrainingRecipe(checkpointing="all"), room, LOAD).every == 1
    assert fit(SHAPE, QWEN2, TrainingRecipe(checkpointing="every_n", checkpoint_every=3), room, LOAD).every == 3
    assert fit(SHAPE, QWEN2, TrainingRecipe(checkpointing="none"), gpu(8), LOAD).every == 0
    assert fit(SHAPE, QWEN2, TrainingRecipe(checkpointing="all", method="prefix"), room, LOAD).every == 0


@pytest.mark.parametrize(
    ("recipe", "gigabytes", "expected"),
    [
        ({}, 24, {}),
        ({"checkpointing": "none"}, 14, {"training.checkpointing": "auto"}),
        ({}, 11.5, {"training.micro_batch_size"}),
        ({"method": "lora"}, 14, {"training.method"}),
        ({"method": "full"}, 24, {"training.method"}),
        ({}, 2, None),
    ],
)
def test_nearest_recipe(recipe: dict[str, Any], gigabytes: float, expected: Any) -> None:
    """What does not fit gets the mildest change that does; what never fits gets none."""
    asked, room = TrainingRecipe(**recipe), gpu(gigabytes)
    offer = nearest(SHAPE, QWEN2, asked, room, LOAD)
    assert offer == expected if not isinstance(expected, set) else set(offer or {}) == expected
    if offer:
        changed = msgspec.structs.replace(asked, **{name.removeprefix("training."): value for name, value in offer.items()})
        assert fit(SHAPE, QWEN2, changed, room, smaller_load(LOAD, changed)).fits


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_plan(method: Any) -> None:
    """Each method has parts that are not negative and trains something."""
    recipe = TrainingRecipe(method=method)
    assert trained_parameters(SHAPE, QWEN2, recipe) > 0
    assert all(size >= 0 for size in memory_of(SHAPE, QWEN2, recipe, gpu(24), LOAD, 0).parts().values())


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("room", [gpu(80), gpu(24), gpu(9), Room(kind="cpu", name="CPU", free=8 << 30, total=16 << 30)])
def test_fitted_presets_are_recipes(name: str, room: Room) -> None:
    """A fitted preset is a valid recipe on every machine; the more memory there is, the more rows go through at once."""
    fitted = fit_preset(name, SHAPE, QWEN2, room, rows=8000)
    recipe = build_recipe(fitted.layer).training
    assert all(getattr(recipe, choice.field) == choice.value for choice in fitted.choices)
    assert recipe.micro_batch_size <= {"cuda": 16, "cpu": 4}[room.kind]


def test_presets_follow_device_rows_and_size() -> None:
    """A large GPU takes 16 rows at once, 25,000 rows need fewer passes, a 14 B base learns with half the rate."""
    small = build_recipe(fit_preset("standard", SHAPE, QWEN2, gpu(80), rows=500).layer).training
    many = build_recipe(fit_preset("standard", SHAPE, QWEN2, gpu(80), rows=25_000).layer).training
    large = shape_of(QWEN2, {**QWEN_7B, "num_hidden_layers": 56})
    slow = build_recipe(fit_preset("standard", large, QWEN2, gpu(80), rows=500).layer).training
    assert (small.micro_batch_size, small.epochs, small.learning_rate) == (16, 3.0, 2e-4)
    assert many.epochs == 1.0
    assert slow.learning_rate == 1e-4

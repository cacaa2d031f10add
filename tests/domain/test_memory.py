"""The memory of a training by formula: parts, checkpointing, the nearest recipe that fits, presets fitted to a machine."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.fitting import fit, nearest, smaller_load
from appliance.domain.memory import BaseShape, Load, Room, memory_of, recomputed_blocks, shape_of, trained_parameters
from appliance.domain.methods import METHODS, usual_learning_rate
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
    recipe = build_recipe(fitted.layer, rate_share=fitted.rate_share).training
    assert all(getattr(recipe, choice.field) == choice.value for choice in fitted.choices)
    assert recipe.micro_batch_size <= {"cuda": 16, "cpu": 4}[room.kind]


LARGE = shape_of(QWEN2, {**QWEN_7B, "num_hidden_layers": 56})
"""14 billion parameters."""


def fitted_recipe(name: str, shape: BaseShape = SHAPE, rows: int = 500, room: Room | None = None, **named: Any) -> TrainingRecipe:
    """A preset under what a person names, on a large GPU unless another place is given."""
    fitted = fit_preset(name, shape, QWEN2, room or gpu(80), rows, [{"training": named}])
    return build_recipe(fitted.layer, {"training": named}, rate_share=fitted.rate_share).training


def test_presets_follow_device_rows_and_size() -> None:
    """A large GPU takes 16 rows at once, 25,000 rows need fewer passes, a 14 B base learns with half the rate."""
    small, many, slow = fitted_recipe("standard"), fitted_recipe("standard", rows=25_000), fitted_recipe("standard", LARGE)
    assert (small.micro_batch_size, small.epochs, small.learning_rate) == (16, 3.0, 2e-4)
    assert many.epochs == 1.0
    assert slow.learning_rate == 1e-4


@pytest.mark.parametrize("objective", ["answers", "preferences"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("preset", "share"), [("quick", 1.0), ("standard", 1.0), ("thorough", 0.5)])
def test_a_presets_rate_is_that_of_the_method(preset: str, share: float, method: str, objective: str) -> None:
    """Whatever method and objective a person names under a preset, its rate is a share of their usual one, a large base's half of that."""
    usual = usual_learning_rate(method, objective)
    for shape, factor in ((SHAPE, share), (LARGE, share / 2)):
        found = fitted_recipe(preset, shape, method=method, objective=objective).learning_rate
        assert found == pytest.approx(factor * usual)
    assert fitted_recipe(preset, LARGE, method=method, objective=objective, learning_rate=usual * 0.7).learning_rate == usual * 0.7


def test_presets_are_fitted_to_the_method() -> None:
    """Full fine-tuning takes fewer rows at once than QLoRA on the same GPU; what a person names is not fitted, nor told as if it were."""
    place = gpu(86)
    assert fitted_recipe("standard", room=place).micro_batch_size == 16
    assert fitted_recipe("standard", room=place, method="full").micro_batch_size < 16
    assert fitted_recipe("standard", room=place, max_length=16_384).micro_batch_size < 16
    named = {"micro_batch_size": 2, "epochs": 4.0, "learning_rate": 1e-5}
    fitted = fit_preset("thorough", LARGE, QWEN2, place, 25_000, [{"training": named}])
    assert fitted.choices == ()


def test_new_tokens_take_a_copy_of_the_head() -> None:
    """Rows of new tokens are trained beside an adapter: in embedding and head, and in a copy of the head with its gradients."""
    with_words = dataclasses.replace(SHAPE, new_tokens=100)
    recipe, room = TrainingRecipe(), gpu(24)
    assert trained_parameters(with_words, QWEN2, recipe) - trained_parameters(SHAPE, QWEN2, recipe) == 2 * 100 * 3584
    few = Load(tokens=64, trained=32, longest=64)
    alone, beside = (memory_of(shape, QWEN2, recipe, room, few, 0).logits for shape in (SHAPE, with_words))
    assert beside - alone == pytest.approx(2 * 152_064 * 3584 * 2, rel=0.05)
    full = TrainingRecipe(method="full")
    assert memory_of(with_words, QWEN2, full, room, few, 0).logits == memory_of(SHAPE, QWEN2, full, room, few, 0).logits

"""Recipes: one declaration per field, validated whole."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.presets import PRESETS
from appliance.domain.recipe import Recipe, RecipeInvalid, as_layer, build_recipe, settings


def test_no_layer_gives_the_defaults() -> None:
    """An empty recipe is the default recipe."""
    assert build_recipe() == Recipe()


def test_later_layers_win_and_strings_are_read() -> None:
    """A setting from the command line is a string and beats the file's value."""
    recipe = build_recipe({"training": {"rank": 8, "dropout": 0}}, {"training": {"rank": "64", "packing": "false"}})
    assert (recipe.training.rank, recipe.training.dropout, recipe.training.packing) == (64, 0.0, False)


def test_every_problem_is_reported_at_once() -> None:
    """Wrong range, wrong type, wrong choice, unknown field, unknown section, field without section: six problems, one error."""
    wrong: dict[str, Any] = {
        "training": {"rank": 0, "epochs": "many", "rnak": 4},
        "export": {"type": "q3"},
        "serving": {"x": 1},
        "split": 5,
    }
    with pytest.raises(RecipeInvalid) as refused:
        build_recipe(wrong)
    codes = sorted(problem["code"] for problem in refused.value.parameters["problems"])
    assert codes == [
        "section_not_table",
        "section_unknown",
        "setting_not_a_choice",
        "setting_not_a_number",
        "setting_not_a_whole_number",
        "setting_unknown",
    ]
    assert refused.value.parameters["count"] == 6


def test_a_whole_number_is_not_rounded() -> None:
    """12.5 is no rank; neither is true."""
    values: list[Any] = [12.5, True, "12.5", None, []]
    for value in values:
        with pytest.raises(RecipeInvalid):
            build_recipe({"training": {"rank": value}})


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset: str) -> None:
    """Every preset builds."""
    assert build_recipe(PRESETS[preset].layer)


def test_a_stored_recipe_builds_itself_again() -> None:
    """What is stored with a result is enough to repeat it."""
    recipe = build_recipe({"training": {"rank": 5}, "split": {"validation_share": 0.25}})
    assert build_recipe(as_layer(recipe)) == recipe
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe


def test_every_default_is_inside_its_own_range() -> None:
    """A default that its own validation refuses would break every run."""
    for setting in settings():
        section, _, field = setting.key.partition(".")
        assert build_recipe({section: {field: setting.default}})


FIELDS = st.dictionaries(st.sampled_from(["rank", "seed", "x", ""]), st.integers() | st.text() | st.none() | st.floats(), max_size=3)


@given(st.dictionaries(st.sampled_from(["training", "split", "y"]), FIELDS, max_size=3))
def test_any_nonsense_is_a_recipe_or_a_named_error(layer: dict[str, dict[str, object]]) -> None:
    """Whatever a file holds, the answer is a recipe or RecipeInvalid, never another exception."""
    with contextlib.suppress(RecipeInvalid):
        assert isinstance(build_recipe(layer), Recipe)

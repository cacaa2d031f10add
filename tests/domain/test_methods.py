"""Methods before anything is loaded: their usual learning rates, and the layers that recipes name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.families import FAMILIES
from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.family import Family
from appliance.domain.methods import METHODS
from appliance.domain.recipe import RecipeInvalid, TrainingRecipe, build_recipe


@pytest.mark.parametrize("method", METHODS)
def test_recipes_get_the_usual_rate(method: str) -> None:
    """A recipe that names no learning rate gets its method's; one that does keeps its own."""
    assert build_recipe({"training": {"method": method}}).training.learning_rate == METHODS[method].learning_rate
    own = METHODS[method].learning_rate * 3
    assert build_recipe({"training": {"method": method, "learning_rate": own}}).training.learning_rate == own


def test_the_default_is_the_usual_rate_of_the_default() -> None:
    """A bare recipe and the usual rate of its method agree."""
    assert TrainingRecipe().learning_rate == METHODS[TrainingRecipe().method].learning_rate


@pytest.mark.parametrize(("method", "rate"), [("full", 2e-3), ("qlora", 2e-2), ("lora_plus", 5e-3)])
def test_absurd_rates_are_refused(method: str, rate: float) -> None:
    """A hundred times the usual rate is refused with the usual one named; ninety times is a warning's business."""
    with pytest.raises(RecipeInvalid) as refused:
        build_recipe({"training": {"method": method, "learning_rate": rate}})
    (problem,) = refused.value.parameters["problems"]
    assert (problem["code"], float(problem["usual"])) == ("learning_rate_absurd", METHODS[method].learning_rate)
    build_recipe({"training": {"method": method, "learning_rate": rate * 0.9}})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_sets_of_layers(family: Family) -> None:
    """Every named set is a part of the family's linear layers."""
    assert family.linear_set("all_linear") == family.linear_modules
    assert set(family.linear_set("attention")) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert family.linear_set("q_k_v_gate") == ("q_proj", "k_proj", "v_proj", "gate_proj")
    assert family.linear_set("v_proj,q_proj,v_proj") == ("v_proj", "q_proj")


def test_unknown_layers_are_named() -> None:
    """A layer that the family does not have is named beside those that it has; so is what is no list of names."""
    with pytest.raises(ApplianceError, match="target_unknown") as caught:
        QWEN2.linear_set("q_proj,c_attn")
    assert caught.value.parameters["module"] == "c_attn"
    for wrong in ("", "q_proj;rm", "q_proj,", " "):
        with pytest.raises(RecipeInvalid):
            build_recipe({"training": {"targets": wrong}})


def test_the_page_of_recipes_tells_every_usual_rate() -> None:
    """Each method's row has its rate for answers and for preferences as a recipe gets them; full fine-tuning has none for preferences."""
    page = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text("utf-8")
    found = {
        name: (answers, preferences)
        for name, answers, preferences in re.findall(r"^\| .*\(`(\w+)`\) \| (\S+) \| (\S+) \|$", page, re.MULTILINE)
    }
    assert set(found) == set(METHODS)
    for name, (answers, preferences) in found.items():
        assert float(answers) == build_recipe({"training": {"method": name}}).training.learning_rate
        rate = build_recipe({"training": {"method": name, "objective": "preferences"}}).training.learning_rate
        assert preferences == "–" if name == "full" else float(preferences) == rate

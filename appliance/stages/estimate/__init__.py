"""Estimate: what a training will take, told before it begins. Reads the base's config and the rows, measures one block; writes nothing.

It knows neither registry nor presets, and never loads the base's weights. Rows are read, mixed and tokenized as the training itself does
it, and what that would refuse of base, recipe and rows, or warn of, is refused and told here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.domain.families import family_of
from appliance.domain.memory import shape_of
from appliance.domain.plan import RowFacts, Speed, compare_methods, other_methods, plan_training
from appliance.domain.spec import EstimateSpec, TrainSpec
from appliance.files.base_screening import read_json_object


def run(spec: EstimateSpec, emit: Emit) -> None:
    """Tokenize the rows, measure the methods that are asked for, and tell the plan."""
    from appliance.stages.estimate.calibration import measure_speed
    from appliance.stages.language_model.device import choose_device
    from appliance.stages.language_model.loading import load_tokenizer, quiet_libraries
    from appliance.stages.language_model.room import room_of
    from appliance.stages.train import consider_method
    from appliance.stages.train.arithmetic import with_arithmetic
    from appliance.stages.train.precautions import consider_rate, consider_template
    from appliance.stages.train.vocabulary import expand

    quiet_libraries()
    recipe, base = spec.recipe, Path(spec.base)
    config = read_json_object(base / "config.json")
    family = family_of(config)
    consider_method(recipe, family, emit)
    consider_rate(recipe, emit)
    tokenizer = load_tokenizer(base)
    consider_template(tokenizer, emit)
    expansion = expand(tokenizer, spec.terms, Path(spec.rows), recipe.method, emit)
    shape = dataclasses.replace(shape_of(family, config), new_tokens=len(expansion.new.pieces) if expansion else 0)
    device = with_arithmetic(choose_device(spec.device, emit), recipe, shape, emit)
    room = room_of(device)
    facts = _row_facts(spec, tokenizer, emit)
    recipes = other_methods(shape, recipe) if spec.compare else (recipe,)
    speeds: list[Speed] = []
    if spec.calibrate:
        emit(Started(len(recipes), "methods", "calibrate"))
        for number, other in enumerate(recipes, 1):
            speeds.append(measure_speed(config, family, other, device, facts.load))
            emit(Progress(number))
    plan = plan_training(shape, family, recipe, room, facts, tuple(speeds))
    if spec.compare:
        plan = msgspec.structs.replace(plan, methods=compare_methods(shape, family, recipe, room, facts, tuple(speeds)))
    emit(Notice("info", "plan_ready", msgspec.to_builtins(plan)))


def _row_facts(spec: EstimateSpec, tokenizer: Any, emit: Emit) -> RowFacts:
    """What the training will find once its rows are tokens; of a dataset that is split first, its shares."""
    from appliance.stages.train.mixture import read_general_rows, read_rows
    from appliance.stages.train.order import Part
    from appliance.stages.train.planning import row_facts, tokens_of
    from appliance.stages.train.precautions import consider_rows

    recipe = spec.recipe
    rows: dict[str, Any] = {"train_rows": spec.rows, "validation_rows": spec.validation_rows, "general_rows": spec.general_rows}
    training = TrainSpec(base=spec.base, output="", checkpoints="", cache=spec.cache, mixed=spec.mixed, recipe=recipe, **rows)
    mixture, validation = read_rows(training, tokenizer, emit)
    general = read_general_rows(training, tokenizer, emit)
    is_split = spec.validation_rows != spec.rows  # else both are still in one file
    consider_rows(mixture, validation if is_split else None, recipe.max_length, emit)
    parts = [Part(part.rows, max(1, round(spec.share * part.taken))) for part in mixture.parts]
    examined = {"validation": spec.validation_share * tokens_of(validation), "general": spec.general_share * tokens_of(general)}
    return row_facts(mixture.rows, recipe, parts, **examined)

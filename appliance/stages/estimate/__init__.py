"""Estimate: what a training will take, told before it begins. Reads the base's config and the rows, measures one block; writes nothing.

It knows neither registry nor presets, and never loads the base's weights.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.domain.families import family_of
from appliance.domain.memory import shape_of
from appliance.domain.methods import METHODS
from appliance.domain.plan import Speed, compare_methods, plan_training
from appliance.domain.spec import EstimateSpec
from appliance.files.base_screening import read_json_object


def run(spec: EstimateSpec, emit: Emit) -> None:
    """Tokenize the rows, measure the methods that are asked for, and tell the plan."""
    from appliance.stages.estimate.calibration import measure_speed
    from appliance.stages.language_model.device import choose_device
    from appliance.stages.language_model.loading import load_tokenizer, quiet_libraries
    from appliance.stages.language_model.room import room_of
    from appliance.stages.language_model.token_cache import TokenCache, cached_rows
    from appliance.stages.train.arithmetic import with_arithmetic
    from appliance.stages.train.order import Part
    from appliance.stages.train.planning import row_facts

    quiet_libraries()
    recipe, base = spec.recipe, Path(spec.base)
    config = read_json_object(base / "config.json")
    family = family_of(config)
    family.linear_set(recipe.targets)
    shape = shape_of(family, config)
    device = with_arithmetic(choose_device(spec.device, emit), recipe, shape, emit)
    room = room_of(device)
    cache = TokenCache(Path(spec.cache, "tokens")) if spec.cache else None
    rows = cached_rows(Path(spec.rows), load_tokenizer(base), recipe.max_length, emit, recipe.long_rows, cache)
    if not len(rows):
        raise ApplianceError("nothing_to_train", rows=rows.left_out, too_long=rows.too_long, max_length=recipe.max_length)
    facts = row_facts(rows, recipe, [Part(len(rows), max(1, round(spec.share * len(rows))))])
    recipes = [recipe]
    if spec.compare:
        recipes += [msgspec.structs.replace(recipe, method=method) for method in METHODS if method != recipe.method]
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

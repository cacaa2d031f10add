"""Plans of trainings: what one would take on this machine, and presets fitted to it. Nothing is loaded, nothing is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice
from appliance.domain.families import family_of
from appliance.domain.home import Home
from appliance.domain.memory import Room, shape_of
from appliance.domain.plan import TrainingPlan
from appliance.domain.preset_fitting import FittedPreset, Layer, fit_preset
from appliance.domain.recipe import Recipe, build_recipe
from appliance.domain.spec import EstimateSpec, SplitSpec, TrainSpec
from appliance.files.base_screening import read_json_object
from appliance.files.space import lack_of_space
from appliance.processes.room import host_memory
from appliance.running.direct import stage_events
from appliance.services.datasets import DatasetService
from appliance.services.gpu import gpus_now
from appliance.services.models import ModelService
from appliance.services.planning import Device, Plan
from appliance.services.recipes import known_preset
from appliance.services.training_choice import TrainingChoice

_BFLOAT16_SINCE = 8.0
"""Compute capability of the first NVIDIA GPUs that compute in bfloat16."""
_NOBODY = "planned"
"""The name of a model that is only planned."""
_PATIENCE = 600.0
"""Seconds in which a large base's block must have been measured."""


class PlanService:
    """What front ends ask before a training."""

    def __init__(self, home: Home, datasets: DatasetService, models: ModelService) -> None:
        self._home = home
        self._datasets = datasets
        self._models = models

    def plan(self, choice: TrainingChoice, *, calibrate: bool = True, tell: Callable[[Event], None] = lambda _event: None) -> TrainingPlan:
        """The plan of the training that the same choice would start, with all methods side by side.

        A dataset that was not split yet counts without its validation rows; rows that were not redacted are planned, too. ``tell`` hears
        what a person should know beside it.
        """
        _, plan = self._models.plan_training(replace(choice, without_redaction=True), _NOBODY)
        spec = msgspec.structs.replace(estimate_of(plan), calibrate=calibrate, compare=True)
        found: TrainingPlan | None = None
        for event in stage_events("estimate", spec, _PATIENCE):
            if isinstance(event, Notice) and event.code == "plan_ready":
                found = msgspec.convert(event.parameters, TrainingPlan)
            else:
                tell(event)
        if found is None:
            raise ApplianceError("result_missing", ExitCode.RUN_FAILED, stage="estimate", role="plan")
        if lack := lack_of_space(self._home.root, found.checkpoint_bytes + found.result_bytes):
            tell(Notice("warning", "plan_needs_disk", lack))
        return found

    def fitted_recipe(
        self, preset: str, base: str, dataset: str, device: Device = "auto", named: Sequence[Layer] = ()
    ) -> tuple[Recipe, FittedPreset]:
        """A preset for this base, these rows and this machine under the ``named`` layers of a recipe, and the recipe of all of them.

        Raises ``preset_unknown`` and ``RecipeInvalid``.
        """
        known_preset(preset)
        config = read_json_object(self._folder(base) / "config.json")
        family = family_of(config)
        rows = self._datasets.get(dataset).counts["rows"]
        fitted = fit_preset(preset, shape_of(family, config), family, detected_room(device), rows, named)
        return build_recipe(fitted.layer, *named, rate_share=fitted.rate_share), fitted

    def _folder(self, base: str) -> Path:
        model = self._models.get(base)
        if model.kind not in ("base", "merged"):
            raise ApplianceError("model_kind_unfit", ExitCode.USAGE, name=model.name, kind=model.kind, kinds="base, merged")
        return Path(model.path)


def estimate_of(plan: Plan) -> EstimateSpec:
    """What to ask of a planned training whose splits were not made yet: shares of the rows that they will divide."""
    *before, last = plan.stages
    training = msgspec.convert(last.spec, TrainSpec)
    shares: dict[str, tuple[str, float]] = {}
    for planned in before:
        split = msgspec.convert(planned.spec, SplitSpec)
        held_out, tested = split.recipe.validation_share, split.recipe.test_share
        for folder, share in ((split.train_output, 1.0 - held_out - tested), (split.validation_output, held_out)):
            shares[str(Path(folder) / ROWS_FILE)] = split.rows, share
    rows, share = shares.get(training.train_rows, (training.train_rows, 1.0))
    validation_rows, validation_share = shares.get(training.validation_rows, (training.validation_rows, 1.0))
    general_rows, general_share = shares.get(training.general_rows, (training.general_rows, 1.0))
    whole = (msgspec.structs.replace(mixed, rows=shares.get(mixed.rows, (mixed.rows,))[0]) for mixed in training.mixed)
    return EstimateSpec(
        base=training.base,
        rows=rows,
        share=share,
        validation_rows=validation_rows,
        validation_share=validation_share,
        mixed=tuple(whole),
        general_rows=general_rows,
        general_share=general_share,
        terms=training.terms,
        recipe=training.recipe,
        device=training.device,
        cache=training.cache,
    )


def detected_room(device: Device = "auto") -> Room:
    """The device that a training would take and what is free there, found without any heavy library."""
    if device != "cpu" and (gpu := _first_gpu()) is not None:
        return gpu
    free, total = host_memory()
    return Room(kind="cpu", name="CPU", free=free, total=total)


def _first_gpu() -> Room | None:
    gpu = next(iter(gpus_now()), None)
    if gpu is None:
        return None
    half = gpu.capability is not None and gpu.capability >= _BFLOAT16_SINCE
    return Room(kind="cuda", name=gpu.name, free=gpu.memory_free, total=gpu.memory_total, half_precision=half)

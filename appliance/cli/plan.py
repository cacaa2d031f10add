"""``greenwave plan``: what a training would take, before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
import msgspec

from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, device_option, json_option, recipe_options
from appliance.cli.output import narrate, print_facts, print_json, print_table
from appliance.cli.wording import label, told
from appliance.domain.event import Event, Notice
from appliance.domain.methods import METHODS
from appliance.domain.plan import TrainingPlan, does_not_fit
from appliance.domain.preset_fitting import FittedPreset
from appliance.domain.recipe import Recipe
from appliance.domain.redaction import RedactionState
from appliance.services.training_choice import TrainingChoice
from appliance.services.workbench import Workbench
from appliance.texts.speech import human_bytes, human_duration, say

_BAR = 30


@click.command("plan", help=told("plan"))
@click.option("--base", required=True, metavar="MODEL", help=told("option.base"))
@click.option("--dataset", required=True, help=told("option.dataset"))
@click.option("--validation", metavar="DATASET", help=told("option.validation"))
@click.option("--general", metavar="DATASET", help=told("option.general"))
@click.option("--mix", multiple=True, metavar="DATASET[=SHARE]", help=told("option.mix"))
@click.option("--terms", type=click.Path(path_type=Path), metavar="FILE", help=told("option.terms"))
@recipe_options
@device_option
@click.option("--no-calibration", is_flag=True, help=told("option.no_calibration"))
@json_option
def command(
    base: str,
    dataset: str,
    validation: str | None,
    general: str | None,
    mix: tuple[str, ...],
    terms: Path | None,
    recipe: RecipeChoice,
    device: Literal["auto", "cpu", "cuda"],
    no_calibration: bool,
    as_json: bool,
) -> None:
    """Show the plan; end with 4 if it does not fit."""
    workbench = open_workbench()
    fitted = fitted_recipe(workbench, base, dataset, recipe, device)
    choice = TrainingChoice(base, dataset, fitted, validation, device, terms, general, mix)
    plan = workbench.plans.plan(choice, calibrate=not no_calibration, tell=_tell)
    redaction = workbench.redaction.state(dataset)
    if as_json:
        print_json({**msgspec.to_builtins(plan), "memory_total": plan.memory.total, "redaction": redaction})
    else:
        _show(plan)
        _tell_redaction(dataset, redaction)
    if not plan.fits:
        raise does_not_fit(plan)


def _tell(event: Event) -> None:
    """What a person should know of the rows, on standard error."""
    if isinstance(event, Notice) and event.level == "warning":
        narrate(say("notices", event.code, **event.parameters))


def _tell_redaction(dataset: str, state: RedactionState) -> None:
    """Whether the dataset may be trained, on standard error."""
    if state.passed:
        narrate(f"{label('redaction')}: {label('redaction_passed')}")
        return
    reason = say("problems", f"redaction_{state.reason}")
    narrate(say("notices", "plan_without_redaction", name=dataset, reason=reason))


def fitted_recipe(workbench: Workbench, base: str, dataset: str, chosen: RecipeChoice, device: Literal["auto", "cpu", "cuda"]) -> Recipe:
    """The recipe of all sources, a preset fitted to this machine; what was fitted is told on standard error."""
    if chosen.preset is None:
        return chosen.composed()
    recipe, fitted = workbench.plans.fitted_recipe(chosen.preset, base, dataset, device, chosen.named())
    _tell_fitted(chosen.preset, fitted)
    return recipe


def _tell_fitted(preset: str, fitted: FittedPreset) -> None:
    for choice in fitted.choices:
        reason = say("reasons", choice.reason, **choice.parameters)
        narrate(say("notices", "preset_fitted", preset=preset, field=f"training.{choice.field}", value=choice.value, reason=reason))


def _show(plan: TrainingPlan) -> None:
    rows, memory = plan.rows, plan.memory
    unknown = label("not_measured")
    print_facts(
        {
            "method": METHODS[plan.method].title,
            "device": f"{plan.room.name}, {human_bytes(plan.room.free)} {label('free')}",
            "memory": human_bytes(memory.total),
            "checkpointing": say("notices", "blocks_recomputed", recomputed=plan.recomputed, blocks=plan.blocks),
            "trained_parameters": f"{plan.trained:,} ({plan.share:.2%})",
            "disk": say("notices", "plan_disk", checkpoints=plan.checkpoint_bytes, result=plan.result_bytes),
            "rows": say("notices", "plan_rows", rows=rows.rows, too_long=rows.too_long, untrained=rows.untrained),
            "tokens_per_step": f"{rows.tokens_per_step:,}",
            "steps": f"{rows.steps:,}",
            "tokens_per_second": f"{plan.tokens_per_second:,.0f}" if plan.tokens_per_second else unknown,
            "duration": human_duration(plan.seconds) if plan.seconds else unknown,
        }
    )
    click.echo()
    print_table(("memory_part", "size"), [(label(f"memory_{name}"), human_bytes(size)) for name, size in memory.parts().items() if size])
    click.echo()
    most = max((count for _, count in rows.histogram), default=0)
    bars = [(f"≤ {length:,}", f"{count:,}", "█" * round(_BAR * count / most)) for length, count in rows.histogram if count]
    print_table(("tokens", "rows", "length_distribution"), bars)
    click.echo()
    print_table(("method", "memory", "fits", "trained_parameters", "tokens_per_second", "duration"), _methods(plan))


def _methods(plan: TrainingPlan) -> list[tuple[str, ...]]:
    return [
        (
            METHODS[cost.method].title,
            human_bytes(cost.memory),
            label("yes") if cost.fits else label("no"),
            f"{cost.trained:,} ({cost.share:.2%})",
            f"{cost.tokens_per_second:,.0f}" if cost.tokens_per_second else label("not_measured"),
            human_duration(cost.seconds) if cost.seconds else label("not_measured"),
        )
        for cost in plan.methods
    ]

"""New datasets from the chosen one: cleaned, redacted, split, mixed. Each is a form, then a run."""

from __future__ import annotations

from collections.abc import Callable

from appliance.domain.dataset import Dataset
from appliance.services.workbench import Workbench
from tui.host import HostApp
from tui.screens.recipe_dialog import Chosen, Question, RecipeDialog
from tui.widgets.plain import harmless
from tui.words import t

Begin = Callable[[Callable[[Workbench], str]], object]
"""Starts a run by a function that gives its id."""


def clean(app: HostApp, dataset: Dataset, begin: Begin) -> None:
    """Into a new dataset without what is not worth learning from."""

    def decided(chosen: Chosen | None) -> None:
        if chosen is not None:
            name, recipe = chosen.name or None, chosen.recipe.cleaning
            base = chosen.answers.get("base")
            begin(lambda workbench: workbench.datasets.start_clean(dataset.id, name, recipe, base).id)

    async def ask() -> None:
        bases = await app.ask(lambda workbench: [model.name for model in workbench.models.all() if model.kind == "base"])
        question = Question("base", tuple((harmless(name), name) for name in bases or ()))
        app.push_screen(
            RecipeDialog(t("data.clean_title", name=dataset.name), f"{dataset.name}-clean", ("cleaning",), (question,)), decided
        )

    app.run_worker(ask())


def redact(app: HostApp, dataset: Dataset, begin: Begin) -> None:
    """Into a new dataset with pseudonyms instead of personal data."""

    def decided(chosen: Chosen | None) -> None:
        if chosen is not None:
            name, recipe = chosen.name or None, chosen.recipe.redaction
            keep = chosen.answers.get("keep_key") == "yes"
            begin(lambda workbench: workbench.redaction.start_redaction(dataset.id, name, recipe, keep_key=keep).id)

    keep_key = Question("keep_key", ((t("data.key_forgotten"), "no"), (t("data.key_kept"), "yes")), "no")
    app.push_screen(
        RecipeDialog(t("data.redact_title", name=dataset.name), f"{dataset.name}-redacted", ("redaction",), (keep_key,)), decided
    )


def check(app: HostApp, dataset: Dataset, begin: Begin) -> None:
    """Look for personal data in a dataset as it is; without finds it passes."""

    def decided(chosen: Chosen | None) -> None:
        if chosen is not None:
            recipe = chosen.recipe.redaction
            begin(lambda workbench: workbench.redaction.start_check(dataset.id, recipe).id)

    app.push_screen(RecipeDialog(t("data.check_title", name=dataset.name), "", ("redaction",), only=("redaction.leave",)), decided)


def split(app: HostApp, dataset: Dataset, begin: Begin) -> None:
    """Into training, validation and, if asked for, test."""

    def decided(chosen: Chosen | None) -> None:
        if chosen is not None:
            name, recipe = chosen.name or None, chosen.recipe.split
            begin(lambda workbench: workbench.datasets.start_split(dataset.id, name, recipe).id)

    app.push_screen(RecipeDialog(t("data.split_title", name=dataset.name), dataset.name, ("split",)), decided)


def mix(app: HostApp, dataset: Dataset, others: list[Dataset], begin: Begin) -> None:
    """With a general dataset, against forgetting."""
    if not others:
        app.notify(t("data.nothing_to_mix"), severity="warning")
        return

    def decided(chosen: Chosen | None) -> None:
        if chosen is not None:
            general, recipe = chosen.answers["general"], chosen.recipe.mix
            begin(lambda workbench: workbench.datasets.start_mix([dataset.name], chosen.name, recipe, general).id)

    choices = tuple((harmless(one.name), one.name) for one in others)
    general = Question("general", choices, others[0].name)
    app.push_screen(RecipeDialog(t("data.mix_title", name=dataset.name), f"{dataset.name}-mixed", ("mix",), (general,)), decided)

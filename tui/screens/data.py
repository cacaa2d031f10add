"""Data: datasets brought in, cleaned, split, looked at, removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from appliance.domain.dataset import Dataset
from appliance.domain.redaction import RedactionState
from appliance.services.workbench import Workbench
from appliance.texts.speech import human_bytes
from tui.keys import bindings
from tui.screens import making_data
from tui.screens.importing import Import, ImportScreen
from tui.screens.listing import ListingScreen
from tui.widgets.plain import harmless
from tui.widgets.states import moment
from tui.words import t


class DataScreen(ListingScreen):
    """The table of datasets."""

    PLACE = "data"
    CSS_PATH = "data.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("data")]

    COLUMNS: ClassVar[tuple[str, ...]] = ("name", "rows", "rejected", "privacy", "size", "created")

    def __init__(self) -> None:
        super().__init__()
        self.datasets: list[Dataset] = []
        self.states: list[RedactionState] = []

    def heading(self, column: str) -> str:
        """A column's words."""
        return t(f"data.{column}")

    async def listed(self) -> list[tuple[str, Sequence[str]]] | None:
        """All datasets, the newest first."""
        there = await self.app.ask(_with_states)
        if there is None:
            return None
        self.datasets, self.states = there
        return [(dataset.id, _cells(dataset, state)) for dataset, state in zip(*there, strict=True)]

    def on_data_table_row_selected(self) -> None:
        """Enter opens the dataset's page."""
        if dataset := self.chosen:
            from tui.screens.dataset import DatasetScreen

            self.app.push_screen(DatasetScreen(dataset))

    @property
    def chosen(self) -> Dataset | None:
        """The dataset under the cursor."""
        return self.datasets[self.row] if 0 <= self.row < len(self.datasets) else None

    def about(self, row: int) -> str:
        """Its privacy state and where it comes from."""
        if not 0 <= row < len(self.datasets):
            return t("data.none")
        dataset, state = self.datasets[row], self.states[row]
        source = dataset.facts.get("source", {})
        lines = [f"{harmless(dataset.name)}  {dataset.id}", t(f"data.privacy_{state.reason}")]
        if source:
            lines.append(t("data.from_file", name=harmless(str(source["name"]))))
        return "\n".join(lines)

    def action_import_file(self) -> None:
        """Bring a file of records in."""
        from tui.screens.browse import BrowseScreen

        def decided(wanted: Import | None) -> None:
            if wanted is not None:
                self.begin(lambda workbench: workbench.datasets.start_import(wanted.path, wanted.name, **wanted.choices).id)

        def chosen(path: Path | None) -> None:
            if path is not None:
                self.app.push_screen(ImportScreen(path), decided)

        self.app.push_screen(BrowseScreen(t("data.import_title")), chosen)

    def action_clean(self) -> None:
        """Clean the chosen dataset into a new one."""
        if dataset := self.chosen:
            making_data.clean(self.app, dataset, self.begin)

    def action_redact(self) -> None:
        """Replace personal data in the chosen dataset."""
        if dataset := self.chosen:
            making_data.redact(self.app, dataset, self.begin)

    def action_check(self) -> None:
        """Look for personal data in the chosen dataset as it is."""
        if dataset := self.chosen:
            making_data.check(self.app, dataset, self.begin)

    def action_review(self) -> None:
        """Decide about uncertain finds of the chosen dataset."""
        if dataset := self.chosen:
            if self.states[self.row].reason in ("never", "inherited", "changed"):
                self.app.notify(t("data.no_review"), severity="warning")
                return
            from tui.screens.review import ReviewScreen

            self.app.push_screen(ReviewScreen(dataset))

    def action_split(self) -> None:
        """Divide the chosen dataset into training and validation."""
        if dataset := self.chosen:
            making_data.split(self.app, dataset, self.begin)

    def action_mix(self) -> None:
        """Mix the chosen dataset with a general one."""
        if dataset := self.chosen:
            making_data.mix(self.app, dataset, [one for one in self.datasets if one.id != dataset.id], self.begin)

    @work(exclusive=True, group="remove")
    async def action_remove(self) -> None:
        """Delete the chosen dataset, after a question; what was made from it is shown instead if there is something."""
        if (dataset := self.chosen) is None:
            return
        below = await self.app.ask(lambda workbench: workbench.datasets.dependants(dataset.id))
        if below is None:
            return
        if below["children"]:
            from tui.screens.lineage import DependantsScreen

            self.app.push_screen(DependantsScreen(below))
            return
        from tui.screens.confirm import ConfirmScreen

        question = t("data.remove_question", name=dataset.name)
        if await self.app.push_screen_wait(ConfirmScreen(question, t("data.remove_consequence"), t("data.remove_yes"))):
            await self.app.ask(lambda workbench: workbench.datasets.remove(dataset.id))
            self.look()


def _with_states(workbench: Workbench) -> tuple[list[Dataset], list[RedactionState]]:
    datasets = sorted(workbench.datasets.all(), key=lambda one: -one.created)
    return datasets, [workbench.redaction.state(dataset.id) for dataset in datasets]


def _cells(dataset: Dataset, state: RedactionState) -> tuple[str, ...]:
    counts = dataset.counts
    rejected = counts.get("rejected", counts.get("dropped", 0))
    return (
        harmless(dataset.name),
        f"{counts.get('rows', 0):,}",
        f"{rejected:,}" if rejected else "",
        t("data.passed") if state.passed else t("data.not_passed"),
        human_bytes(dataset.size),
        moment(dataset.created),
    )

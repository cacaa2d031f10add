"""Datasets: brought in, cleaned, split, looked at, removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.dataset import REJECTED_FILE, ROWS_FILE, Dataset, printable
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Notice
from appliance.domain.home import Home
from appliance.domain.look import Look
from appliance.domain.recipe import CleaningRecipe, MixRecipe, Recipe, SplitRecipe
from appliance.domain.row import Row
from appliance.domain.run import Run
from appliance.domain.spec import LookSpec
from appliance.files.line_index import LineIndex
from appliance.files.rows import parsed_row
from appliance.running.direct import stage_events
from appliance.services.mixing import parts_of_mix
from appliance.services.names import free_stem
from appliance.services.passes import redaction_state
from appliance.services.planning import DatasetRef, MixedRef
from appliance.services.runs import RunService
from appliance.services.uses import dependants, require_unused
from appliance.store.store import Store

SPLIT_SUFFIXES = ("-train", "-validation", "-test")
_REMEMBERED = 8
"""Datasets whose places of lines are kept."""


_LOOKING_PATIENCE = 600.0
"""Seconds; a large archive is unpacked for a look as well."""


class DatasetService:
    """What front ends do with datasets."""

    def __init__(self, store: Store, home: Home, runs: RunService) -> None:
        self._store = store
        self._home = home
        self._runs = runs
        self._indexes: dict[str, LineIndex] = {}

    def start_import(self, source: Path, name: str, **choices: Any) -> Run:
        """Start reading a foreign file; ``choices`` are those of ``IngestSpec``. Raises ``source_missing`` or ``source_is_folder``."""
        require_file(source)
        run_id, plan = self._runs.new_plan()
        plan.ingest(source.absolute(), name, **choices)
        return self._runs.start(run_id, f"import-{name}", plan)

    def look(self, source: Path, **choices: Any) -> Look:
        """How a foreign file would be read, with its first rows; nothing is made. ``choices`` are those of ``LookSpec``.

        A process of its own reads, with the limits of an import. Raises whatever the import would be refused with before its first row.
        """
        require_file(source)
        spec = LookSpec(source=str(source.absolute()), **choices)
        try:
            for event in stage_events("look", spec, _LOOKING_PATIENCE):
                if isinstance(event, Notice) and event.code == "look_ready":
                    return msgspec.convert(event.parameters, Look)
        except TimeoutError:
            raise ApplianceError("file_takes_too_long", name=printable(source.name), seconds=_LOOKING_PATIENCE) from None
        raise ApplianceError("result_missing", ExitCode.RUN_FAILED, stage="look", role="look")

    def start_clean(self, key: str, name: str | None, recipe: CleaningRecipe, base: str | None = None) -> Run:
        """Start cleaning a dataset into a new one, called ``KEY-clean`` unless named; tokens are those of ``base``.

        Raises ``cleaning_needs_base`` for limits in tokens without one.
        """
        parent = self.get(key)
        if (recipe.min_tokens or recipe.max_tokens) and base is None:
            raise ApplianceError("cleaning_needs_base", ExitCode.USAGE)
        name = name or free_stem(self._store, f"{parent.name}-clean")
        run_id, plan = self._runs.new_plan()
        reference = DatasetRef.of(parent, redaction_state(self._store, parent).passed)
        plan.clean(reference, name, recipe, self._base_folder(base))
        return self._runs.start(run_id, f"clean-{name}", plan, Recipe(cleaning=recipe))

    def start_split(self, key: str, name: str | None, recipe: SplitRecipe) -> Run:
        """Start dividing a dataset into ``NAME-train``, ``NAME-validation`` and, where the recipe asks for it, ``NAME-test``."""
        parent = self.get(key)
        name = name or free_stem(self._store, parent.name, SPLIT_SUFFIXES)
        run_id, plan = self._runs.new_plan()
        plan.split(DatasetRef.of(parent), split_names(name), recipe)
        return self._runs.start(run_id, f"split-{name}", plan, Recipe(split=recipe))

    def start_mix(self, options: Iterable[str], name: str, recipe: MixRecipe, general: str | None = None, base: str | None = None) -> Run:
        """Start making one dataset of several, each ``NAME`` or ``NAME:SHARE``; ``general`` gets the recipe's share.

        Raises what ``parts_of_mix`` raises.
        """
        shares = parts_of_mix(options, general, recipe.general_share)
        parts = [MixedRef(key, DatasetRef.of(self.get(key)), share) for key, share in shares.items()]
        run_id, plan = self._runs.new_plan()
        plan.mix(parts, name, recipe, self._base_folder(base))
        return self._runs.start(run_id, f"mix-{name}", plan, Recipe(mix=recipe))

    def get(self, key: str) -> Dataset:
        """The dataset with this id or name; raises ``dataset_unknown``."""
        dataset = self._store.datasets.find(key)
        if dataset is None:
            raise ApplianceError("dataset_unknown", ExitCode.USAGE, name=key)
        return dataset

    def all(self) -> Iterator[Dataset]:
        """Every dataset, oldest first."""
        return self._store.datasets.all()

    def made_by(self, run_id: str) -> list[Dataset]:
        """Datasets that a run has published."""
        return [dataset for dataset in self._store.datasets.all() if dataset.run_id == run_id]

    def rows(self, key: str, limit: int | None = None, skip: int = 0) -> Iterator[Row]:
        """Rows of a dataset, read as they are asked for. Raises ``rows_missing`` or ``rows_damaged``."""
        dataset = self.get(key)
        for number, (_, line) in enumerate(self.lines(dataset, skip, limit), skip + 1):
            yield parsed_row(line, rows_file(dataset), number)

    def lines(self, dataset: Dataset, skip: int, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
        """``(place in bytes, line)`` of rows; where one was read before, another is found at once. Raises ``rows_missing``."""
        rows = rows_file(dataset)
        if dataset.id not in self._indexes:
            self._indexes = dict(list(self._indexes.items())[-_REMEMBERED:]) | {dataset.id: LineIndex(rows)}
        yield from self._indexes[dataset.id].lines(skip, limit)

    def rejected(self, key: str, limit: int | None = None, skip: int = 0) -> Iterator[dict[str, Any]]:
        """Rows that were not accepted, each with line and reason."""
        listing = Path(self.get(key).path) / REJECTED_FILE
        if listing.exists():
            with listing.open("rb") as lines:
                yield from map(msgspec.json.decode, islice(lines, skip, None if limit is None else skip + limit))

    def validation_of(self, dataset: Dataset) -> Dataset | None:
        """The other side of the split that made this training set, if a split made it."""
        siblings = self.made_by(dataset.run_id) if dataset.run_id else []
        sources = set(self._store.lineage.parents_of(dataset.id))
        for sibling in siblings:
            same_source = {edge.parent for edge in self._store.lineage.parents_of(sibling.id)} == {edge.parent for edge in sources}
            if sibling.id != dataset.id and same_source and sources and sibling.facts.get("side") == "validation":
                return sibling
        return None

    def source_of(self, dataset: Dataset) -> Dataset | None:
        """What this dataset was made from, if it was one dataset."""
        parents = self._store.lineage.parents_of(dataset.id)
        return self._store.datasets.find(parents[0].parent) if len(parents) == 1 else None

    def _base_folder(self, key: str | None) -> Path | None:
        if key is None:
            return None
        model = self._store.models.find(key)
        if model is None:
            raise ApplianceError("model_unknown", ExitCode.USAGE, name=key)
        if model.kind not in ("base", "merged"):
            raise ApplianceError("model_kind_unfit", ExitCode.USAGE, name=model.name, kind=model.kind, kinds="base, merged")
        return Path(model.path)

    def dependants(self, key: str) -> dict[str, Any]:
        """What was made from a dataset, and from that: ``{id, name, kind, role, children: [...]}``."""
        return dependants(self._store, self.get(key).id)

    def remove(self, key: str) -> Dataset:
        """Delete a dataset's row and files. Raises ``still_needed`` or ``in_use``."""
        dataset = self.get(key)
        folder = self._home.artefact("dataset", dataset.id)
        with self._store.transaction():
            require_unused(self._store, dataset.id, dataset.name, folder)
            # Row before files: an announced dataset always has its files.
            self._store.datasets.remove(dataset.id)
        shutil.rmtree(folder, ignore_errors=True)
        return dataset


def split_names(stem: str) -> tuple[str, str, str]:
    """What the sides of a split are called."""
    train, validation, test = (stem + suffix for suffix in SPLIT_SUFFIXES)
    return train, validation, test


def require_file(source: Path) -> None:
    """Raise ``source_missing`` or ``source_is_folder`` unless this is a file that can be read."""
    try:
        source.open("rb").close()
    except IsADirectoryError:
        raise ApplianceError("source_is_folder", ExitCode.BAD_DATA, path=str(source)) from None
    except OSError as error:
        raise ApplianceError("source_missing", ExitCode.BAD_DATA, path=str(source), reason=error.strerror or "") from error


def rows_file(dataset: Dataset) -> Path:
    """Where a dataset's rows are; raises ``rows_missing`` when they are not there."""
    rows = Path(dataset.path) / ROWS_FILE
    if not rows.is_file():
        raise ApplianceError("rows_missing", ExitCode.BAD_DATA, path=str(rows))
    return rows

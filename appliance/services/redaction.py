"""Personal data in datasets: replaced, looked for, decided about, and whether models may learn from what is left."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import msgspec

from appliance.domain.dataset import Dataset
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.domain.recipe import Recipe, RedactionRecipe
from appliance.domain.redaction import (
    FINDS_SCORE,
    REVIEW_FILE,
    Choice,
    Decision,
    RedactionState,
    Uncertain,
)
from appliance.domain.row import texts_of
from appliance.domain.run import Run
from appliance.domain.spec import RedactSpec
from appliance.services.datasets import DatasetService
from appliance.services.names import free_stem
from appliance.services.passes import redaction_state
from appliance.services.planning import DatasetRef
from appliance.services.runs import RunService
from appliance.store.store import Store

CONTEXT_CHARS = 24
"""Characters on both sides of an uncertain find that are shown with it."""
DECISION_COLUMNS = ("place", "decision", "kind", "count", "found", "context")
"""Of the file that a person fills in; the first two are read back."""


class ReviewEntry(msgspec.Struct, frozen=True):
    """An uncertain find as a person judges it."""

    place: str
    kind: str
    count: int
    masked: str
    found: str = ""
    """What stands there; empty when the dataset that was redacted is gone."""
    context: str = ""
    """The same with its surroundings, the find in ⟦ ⟧."""


class RedactionService:
    """What front ends do about personal data."""

    def __init__(self, store: Store, home: Home, runs: RunService, datasets: DatasetService) -> None:
        self._store = store
        self._home = home
        self._runs = runs
        self._datasets = datasets

    def start_redaction(
        self,
        key: str,
        name: str | None,
        recipe: RedactionRecipe,
        *,
        key_file: Path | None = None,
        keep_key: bool = False,
        decisions: Iterable[Decision] = (),
        decided_by: str = "",
    ) -> Run:
        """Start replacing personal data; the new dataset is called ``KEY-redacted`` unless named.

        ``key_file`` holds the key of the pseudonyms; without it a new one is made, and kept below the home only if ``keep_key`` says so.
        """
        parent = self._datasets.get(key)
        name = name or free_stem(self._store, f"{parent.name}-redacted")
        run_id, plan = self._runs.new_plan()
        given = str(key_file.absolute()) if key_file else ""
        made = plan.redact(
            DatasetRef.of(parent), name, recipe, key_file=given, keep_key=keep_key, decisions=tuple(decisions), decided_by=decided_by
        )
        assert made.id
        return self._runs.start(run_id, f"redact-{name}", plan, Recipe(redaction=recipe))

    def start_decided(self, key: str, decisions: Iterable[Decision], decided_by: str = "") -> Run:
        """Start redacting anew what a dataset was redacted from, as it was done before but with a person's decisions.

        The same recipe and kept key, and the earlier decisions where there are no new ones; what nobody decided about is replaced.
        A dataset that was only checked is redacted itself.
        """
        dataset = self._datasets.get(key)
        made = self._made_by(dataset)
        if made is None:
            return self.start_redaction(dataset.id, None, RedactionRecipe(), decisions=decisions, decided_by=decided_by)
        source = self._datasets.source_of(dataset) or dataset
        chosen = {one.place: one for one in (*made.decisions, *decisions)}.values()
        recipe = msgspec.structs.replace(made.recipe, uncertain="replace")
        pseudonyms = Path(made.key_file or made.keep_key)
        key_file = pseudonyms if pseudonyms.is_file() else None
        return self.start_redaction(source.id, None, recipe, key_file=key_file, decisions=chosen, decided_by=decided_by)

    def decisions(self, key: str) -> tuple[Decision, ...]:
        """What a person had decided when a dataset was redacted."""
        made = self._made_by(self._datasets.get(key))
        return made.decisions if made else ()

    def _made_by(self, dataset: Dataset) -> RedactSpec | None:
        """How a dataset was redacted; None for one that was not."""
        for planned in self._store.runs.plan(dataset.run_id) if dataset.run_id else ():
            if planned.stage == "redact" and planned.spec.get("output") == dataset.path:
                return msgspec.convert(planned.spec, RedactSpec)
        return None

    def start_check(self, key: str, recipe: RedactionRecipe, *, decisions: Iterable[Decision] = (), decided_by: str = "") -> Run:
        """Start looking for personal data in a dataset as it is; a check without finds is a pass."""
        dataset = self._datasets.get(key)
        run_id, plan = self._runs.new_plan()
        plan.check_redaction(DatasetRef.of(dataset), recipe, decisions=tuple(decisions), decided_by=decided_by)
        return self._runs.start(run_id, f"check-{dataset.name}", plan, Recipe(redaction=recipe))

    def check_report(self, run_id: str) -> dict[str, Any]:
        """The report of a check that is done, as ``RedactionReport`` has it."""
        for record in self._runs.stages(run_id):
            if "report" in record.facts and "redaction" in record.facts["report"]:
                report: dict[str, Any] = record.facts["report"]["redaction"]
                return report
        raise ApplianceError("result_missing", ExitCode.RUN_FAILED, stage="redact", role="report")

    def state(self, key: str) -> RedactionState:
        """Whether models may learn from a dataset."""
        return redaction_state(self._store, self._datasets.get(key))

    def not_passed(self, datasets: Iterable[Dataset]) -> list[Dataset]:
        """Those of the datasets that have no pass."""
        return [dataset for dataset in datasets if not redaction_state(self._store, dataset).passed]

    def require_passed(self, datasets: Iterable[Dataset]) -> None:
        """Raise ``not_redacted`` for the first dataset without a pass."""
        for dataset in datasets:
            state = redaction_state(self._store, dataset)
            if not state.passed:
                raise ApplianceError("not_redacted", ExitCode.BAD_DATA, name=dataset.name, problems=[{"code": f"redaction_{state.reason}"}])

    def review(self, key: str, limit: int | None = None) -> Iterator[ReviewEntry]:
        """Uncertain finds of a dataset that was redacted or checked, with what stands there if its source is still here.

        Raises ``never_redacted`` for any other.
        """
        dataset = self._datasets.get(key)
        source, listed = self._listed(dataset)
        for uncertain in islice(listed, limit):
            yield self._entry(source, uncertain)

    def write_decisions(self, key: str, target: Path) -> int:
        """Write the review list as a table in which a person fills in the decisions; how many there are. Raises ``target_exists``."""
        try:
            with target.open("x", encoding="utf-8-sig", newline="") as file:
                table = csv.writer(file)
                table.writerow(DECISION_COLUMNS)
                count = 0
                for entry in self.review(key):
                    table.writerow((entry.place, "", entry.kind, entry.count, _safe(entry.found or entry.masked), _safe(entry.context)))
                    count += 1
        except FileExistsError:
            raise ApplianceError("target_exists", ExitCode.USAGE, path=str(target)) from None
        except ApplianceError:
            target.unlink(missing_ok=True)
            raise
        return count

    def _listed(self, dataset: Dataset) -> tuple[Dataset | None, Iterator[Uncertain]]:
        """The dataset that the places are in, and the review list."""
        listing = Path(dataset.path) / REVIEW_FILE
        for score in self._store.scores.newest(dataset.id):
            if score.name == FINDS_SCORE:
                return dataset, iter(msgspec.convert(score.facts.get("review", []), list[Uncertain]))
        if "redaction" not in dataset.facts or not listing.is_file():
            raise ApplianceError("never_redacted", ExitCode.USAGE, name=dataset.name)
        edges = self._store.lineage.parents_of(dataset.id)
        source = next((self._store.datasets.find(edge.parent) for edge in edges if edge.role == "source"), None)
        return source, _uncertain_in(listing)

    def _entry(self, source: Dataset | None, uncertain: Uncertain) -> ReviewEntry:
        shown = (uncertain.place, uncertain.kind, uncertain.count, uncertain.masked)
        if source is None:
            return ReviewEntry(*shown)
        line, part, start = (int(number) for number in uncertain.place.split(":"))
        row = next(self._datasets.rows(source.id, 1, line - 1), None)
        if row is None:
            return ReviewEntry(*shown)
        texts = [*texts_of(row), getattr(row, "rejected", "")]
        text, end = texts[part], start + uncertain.length
        before, found, after = text[max(0, start - CONTEXT_CHARS) : start], text[start:end], text[end : end + CONTEXT_CHARS]
        return ReviewEntry(*shown, found=found, context=f"{before}⟦{found}⟧{after}")


def read_decisions(path: Path) -> tuple[Decision, ...]:
    """The decisions that a person has filled in: a CSV table with ``place`` and ``decision``; lines without a decision are left out.

    Raises ``decisions_unreadable``, or ``decision_unknown`` with the line.
    """
    decisions = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not {"place", "decision"} <= set(table.fieldnames or ()):
                raise ApplianceError("decisions_unreadable", path=str(path), reason="place, decision?")
            for row in table:
                choice = (row["decision"] or "").strip().lower()
                if not choice:
                    continue
                if choice not in get_args(Choice):
                    known = ", ".join(get_args(Choice))
                    raise ApplianceError("decision_unknown", path=str(path), line=table.line_num, decision=choice[:40], known=known)
                decisions.append(msgspec.convert({"place": row["place"] or "", "choice": choice}, Decision))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ApplianceError("decisions_unreadable", path=str(path), reason=str(error)[:200]) from error
    return tuple(decisions)


def _uncertain_in(listing: Path) -> Iterator[Uncertain]:
    decode = msgspec.json.Decoder(Uncertain).decode
    with listing.open("rb") as lines:
        yield from map(decode, lines)


def _safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text

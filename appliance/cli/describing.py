"""A dataset's description as a person reads it: lengths as bars, languages, forms, classes, the quality card, the privacy report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from appliance.cli.output import print_facts, print_line, print_table
from appliance.cli.wording import label
from appliance.domain.dataset import Dataset
from appliance.domain.description import Classes, Description
from appliance.domain.event import Event, Progress, Started
from appliance.domain.quality import Grade, quality_card
from appliance.domain.redaction import RedactionState
from appliance.texts.foreign import printable
from appliance.texts.speech import say

_BAR = 40
_SHOWN_CLASSES = 12
_MARKS = {"good": "✔", "attention": "!", "poor": "✘"}


class ProgressBar:
    """A bar on standard error while a worker reads; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._done = 0

    def tell(self, event: Event) -> None:
        """Take an event of the worker in."""
        if isinstance(event, Started) and event.total:
            self.end()
            self._bar, self._done = click.progressbar(length=event.total, file=sys.stderr, label=say("stages", event.what)), 0
        elif isinstance(event, Progress) and self._bar is not None:
            self._bar.update(event.done - self._done)
            self._done = event.done

    def end(self) -> None:
        """Leave the line."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None


def show_description(dataset: Dataset, found: Description, privacy: RedactionState) -> None:
    """Everything that is known of a dataset's rows."""
    lengths, unit = found.lengths, label(found.measure)
    facts = {
        "row_kinds": _shares(found.kinds, found.rows, "rows_"),
        "lengths": say("notices", "lengths_told", unit=unit, median=lengths.median, p95=lengths.p95, longest=lengths.longest),
        "in_all": f"{lengths.total:,} {unit}",
        "languages": _shares(found.languages, found.rows, "language_"),
    }
    if found.measure == "tokens":
        facts["trained"] = say("notices", "trained_told", trained=found.trained_tokens, share=found.trained_tokens / max(1, lengths.total))
    if found.turns:
        facts["turns"] = _shares(found.turns, sum(found.turns.values()))
        facts["answer_forms"] = _shares(found.forms, sum(found.forms.values()), "form_")
    click.echo()
    print_facts(facts)
    _show_lengths(found)
    for name, classes in found.labels.items():
        _show_classes(name, classes)
    click.echo()
    print_table(("quality_card", "verdict", "finding"), [_graded(grade) for grade in quality_card(found)])
    _show_privacy(dataset.facts, privacy)


def _show_lengths(found: Description) -> None:
    most = max((rows for _, rows in found.lengths.histogram), default=0)
    bars = [(f"≤ {length:,}", f"{rows:,}", _bar(rows, most)) for length, rows in found.lengths.histogram]
    click.echo()
    print_table((found.measure, "rows", "length_distribution"), bars)
    beyond = [(f"{limit:,}", f"{rows:,}", f"{rows / found.rows:.1%}") for limit, rows in found.lengths.beyond if rows]
    if beyond:
        click.echo()
        print_table(("longest_length", "rows_beyond", "share"), beyond)


def _show_classes(name: str, classes: Classes) -> None:
    click.echo()
    print_line(f"{label('class_of')} {name}")
    shown = list(classes.values.items())[:_SHOWN_CLASSES]
    rest = classes.rows - sum(count for _, count in shown)
    most = max((count for _, count in shown), default=0)
    rows = [(value or "-", f"{count:,}", f"{count / classes.rows:.1%}", _bar(count, most)) for value, count in shown]
    print_table(("value", "rows", "share", "distribution"), rows + ([(label("others"), f"{rest:,}", "", "")] if rest else []))


def _show_privacy(facts: Mapping[str, Any], state: RedactionState) -> None:
    click.echo()
    if state.passed:
        print_line(say("labels", {"redacted": "privacy_passed"}.get(state.reason, f"privacy_{state.reason}")))
    else:
        print_line(f"{label('privacy_not_passed')} {say('problems', f'redaction_{state.reason}')}")
    report = facts.get("redaction")
    if not isinstance(report, dict):
        return
    kinds = {kind: entry for kind, entry in report.get("kinds", {}).items() if isinstance(entry, dict)}
    rows = [
        (say("kinds", kind), *(f"{entry.get(count, 0):,}" for count in ("found", "open", "left")), _examples(entry))
        for kind, entry in kinds.items()
    ]
    if rows:
        print_table(("kind", "found", "still_open", "still_there", "masked_examples"), rows)


def _examples(entry: Mapping[str, Any]) -> str:
    return "  ".join(str(example) for example in entry.get("examples", [])[:3])


def _graded(grade: Grade) -> tuple[str, str, str]:
    figures = dict(grade.figures)
    for name, prefix in (("form", "form_"), ("language", "language_")):
        if name in figures:
            figures[name] = label(f"{prefix}{figures[name]}")
    verdict = f"{_MARKS[grade.verdict]} {label(f'verdict_{grade.verdict}')}"
    return label(f"grade_{grade.name}"), verdict, say("grades", grade.name, **figures)


def _shares(counts: Mapping[Any, int], rows: int, prefix: str = "") -> str:
    named = ((label(f"{prefix}{name}") if prefix else str(name), count) for name, count in counts.items())
    return " · ".join(f"{name} {count:,} ({count / rows:.1%})" for name, count in named)


def _bar(count: int, most: int) -> str:
    """At least a thin sign for whatever is there at all."""
    return "█" * round(_BAR * count / most) or ("▏" if count else "") if most else ""


def rejection(entry: Mapping[str, Any]) -> str:
    """One row that was not accepted: where, why, and how it begins."""
    reason = say("problems", str(entry["reason"]), **(entry.get("parameters") or {}))
    # A sheet, a page or a file of an archive is not told by a number alone.
    place = f" ({printable(str(entry['source']))})" if entry.get("source") else ""
    return f"{label('line')} {entry.get('line', '?')}{place}: {reason}  {printable(str(entry.get('excerpt', '')))[:80]}"

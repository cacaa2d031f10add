"""A dataset's description in words and bars."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.dataset import Dataset
from appliance.domain.description import Description
from appliance.domain.quality import quality_card
from appliance.domain.redaction import RedactionState
from appliance.texts.speech import say
from tui.widgets.states import bar
from tui.words import t

BAR_WIDTH = 30
SHOWN_CLASSES = 12
_MARKS = {"good": "✔", "attention": "!", "poor": "✘"}


def description_lines(found: Description, dataset: Dataset, state: RedactionState) -> Iterator[str]:
    """Counts, lengths, languages, classes, the quality card, the privacy report."""
    yield "  ".join(f"{say('labels', name)} {count:,}" for name, count in dataset.counts.items())
    lengths, unit = found.lengths, say("labels", found.measure)
    yield say("notices", "lengths_told", unit=unit, median=lengths.median, p95=lengths.p95, longest=lengths.longest)
    most = max((rows for _, rows in lengths.histogram), default=1)
    for length, rows in lengths.histogram:
        yield f"  ≤ {length:>8,} {bar(rows / most, BAR_WIDTH)} {rows:,}"
    yield "  ".join(f"{say('labels', 'language_' + name)} {rows:,} ({rows / found.rows:.0%})" for name, rows in found.languages.items())
    for name, classes in found.labels.items():
        yield f"{say('labels', 'class_of')} {name}"
        for value, rows in list(classes.values.items())[:SHOWN_CLASSES]:
            yield f"  {value or '-'}  {rows:,} ({rows / classes.rows:.0%})"
    yield ""
    yield t("data.quality")
    for grade in quality_card(found):
        figures = dict(grade.figures)
        for part, prefix in (("form", "form_"), ("language", "language_")):
            if part in figures:
                figures[part] = say("labels", f"{prefix}{figures[part]}")
        yield f"  {_MARKS[grade.verdict]} {say('labels', f'grade_{grade.name}')}: {say('grades', grade.name, **figures)}"
    report = dataset.facts.get("redaction")
    yield ""
    yield t(f"data.privacy_{state.reason}")
    for kind, entry in (report or {}).get("kinds", {}).items():
        examples = "  ".join(str(example) for example in entry.get("examples", [])[:3])
        yield f"  {say('kinds', kind)}: {entry.get('found', 0):,}  {examples}"

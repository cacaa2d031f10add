"""The quality card of a dataset: five questions, each with its figure and a verdict. Rules of thumb, not measurements of a model.

Rows: 1,000 to 100,000 are the usual range for fine-tuning. Diversity and format after Zhou et al. 2023 (LIMA): differing questions and
answers of one kind make good rows. Length against the default longest length of training.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from appliance.domain.description import Description

Verdict = Literal["good", "attention", "poor"]

USUAL_LONGEST = 1024
"""Tokens: what training takes by default."""
CHARACTERS_PER_TOKEN = 1.5
"""Of Chinese text with the tokenizers of Qwen, roughly; only for a guess where no base was named."""


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the card."""

    name: Literal["rows", "diversity", "format", "length", "language"]
    """Also names its sentence among the texts' ``grades``."""
    verdict: Verdict
    figures: dict[str, Any]
    """What the verdict rests on; fills the sentence."""


def quality_card(found: Description) -> tuple[Grade, ...]:
    """The card of a dataset; documents have no questions and answers, so theirs is shorter."""
    conversations = found.rows - found.kinds.get("documents", 0)
    grades = [_rows(found), _length(found), _language(found, conversations)]
    if conversations:
        grades[1:1] = [_diversity(found, conversations), _format(found, conversations)]
    return tuple(grades)


def _rows(found: Description) -> Grade:
    return Grade(name="rows", verdict=_verdict(found.rows, 1000, 100), figures={"rows": found.rows})


def _diversity(found: Description, conversations: int) -> Grade:
    distinct, alike = found.distinct_questions / conversations, found.commonest_opening_rows / conversations
    verdict = _worse(_verdict(distinct, 0.95, 0.7), "good" if alike <= 0.5 or conversations < 100 else "attention")
    figures = {"distinct": distinct, "answers": found.distinct_answers / conversations, "alike": alike, "opening": found.commonest_opening}
    return Grade(name="diversity", verdict=verdict, figures=figures)


def _format(found: Description, conversations: int) -> Grade:
    form, count = max(found.forms.items(), key=lambda entry: entry[1])
    system = max(found.with_system, conversations - found.with_system) / conversations
    share = count / conversations
    verdict = _worse(_verdict(share, 0.6, 0.0), _verdict(system, 0.95, 0.0))
    return Grade(name="format", verdict=verdict, figures={"form": form, "share": share})


def _length(found: Description) -> Grade:
    limit = USUAL_LONGEST if found.measure == "tokens" else round(USUAL_LONGEST * CHARACTERS_PER_TOKEN)
    over = next((rows for length, rows in found.lengths.beyond if length >= limit), 0)
    share = over / found.rows
    figures = {"median": found.lengths.median, "p95": found.lengths.p95, "longest": found.lengths.longest, "share": share}
    # A document is divided where it is too long, so none is lost.
    is_cut = found.kinds.get("documents", 0) < found.rows
    return Grade(name="length", verdict=_verdict(1 - share, 0.99, 0.9) if is_cut else "good", figures=figures)


def _language(found: Description, conversations: int) -> Grade:
    language, count = max(found.languages.items(), key=lambda entry: entry[1])
    changes = found.language_changes / conversations if conversations else 0.0
    verdict = _worse(_verdict(count / found.rows, 0.9, 0.0), _verdict(1 - changes, 0.95, 0.8))
    return Grade(name="language", verdict=verdict, figures={"language": language, "share": count / found.rows, "changes": changes})


def _verdict(value: float, good: float, poor: float) -> Verdict:
    return "good" if value >= good else "attention" if value >= poor else "poor"


def _worse(one: Verdict, other: Verdict) -> Verdict:
    return max(one, other, key=("good", "attention", "poor").index)

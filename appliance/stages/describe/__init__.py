"""Describe: reads a dataset once and tells what it looks like. Changes nothing; its answer is one small JSON file that can be made again.

It streams: memory does not grow with the rows, but for eight bytes for each question and answer. It knows neither registry nor front ends.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.description import Description
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.domain.row import Row, texts_of
from appliance.domain.spec import DescribeSpec
from appliance.files.checksum import file_sha256
from appliance.files.publish import published_file
from appliance.files.space import disk_full_named
from appliance.stages.describe.counting import CommonValues, DistinctTexts, LengthCounts
from appliance.stages.describe.writing import form_of, language_of
from appliance.stages.language_model.tokenized_rows import MarkedText, mark_conversations, mark_documents, row_blocks

ROLE = "description"
_OPENING = 6
"""Characters of a question that count as its beginning."""
_MOST_LABELS = 100
_DIGITS = re.compile(r"\d+")

Measure = Callable[[list[Row]], list[tuple[int, int]]]
"""Rows → for each its length and how much of that is trained."""


def run(spec: DescribeSpec, emit: Emit) -> None:
    """Read every row, count, publish the description."""
    began = time.monotonic()
    rows, place = Path(spec.rows), Path(spec.output)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    measure = _token_measure(spec) if spec.base else _characters
    emit(Started(rows.stat().st_size, "bytes", "describe"))
    tally = _Tally(is_tokens=bool(spec.base))
    for position, block in row_blocks(rows):
        for row, (length, trained) in zip(block, measure(block), strict=True):
            tally.add(row, length, trained)
        emit(Progress(position))
    if not tally.rows:
        raise ApplianceError("rows_empty")
    with disk_full_named(place), published_file(place) as partial:
        partial.write_bytes(msgspec.json.encode(tally.description(time.monotonic() - began)))
    emit(Produced(Artifact(role=ROLE, path=str(place), sha256=file_sha256(place), size=place.stat().st_size)))


class _Tally:
    """Everything that is counted on the way."""

    def __init__(self, *, is_tokens: bool) -> None:
        self.rows = 0
        self._is_tokens = is_tokens
        self._lengths = LengthCounts()
        self._kinds, self._turns, self._languages, self._forms = Counter[str](), Counter[str](), Counter[Any](), Counter[Any]()
        self._questions, self._answers, self._openings = DistinctTexts(), DistinctTexts(), CommonValues()
        self._labels: dict[str, CommonValues] = {}
        self._trained = self._untrained = self._with_system = self._language_changes = 0

    def add(self, row: Row, length: int, trained: int) -> None:
        """Count one row."""
        self.rows += 1
        self._lengths.add(length)
        self._trained += trained
        self._untrained += self._is_tokens and not trained
        self._languages[language_of("\n".join(texts_of(row)))] += 1
        if isinstance(row, Document):
            self._kinds["documents"] += 1
        else:
            self._add_conversation(row)
        for name, value in islice(row.labels.items(), _MOST_LABELS):
            if name in self._labels or len(self._labels) < _MOST_LABELS:
                self._labels.setdefault(name, CommonValues()).add(value)

    def _add_conversation(self, row: Conversation) -> None:
        self._kinds["preferences" if row.rejected else "conversations"] += 1
        begins_with_system = row.messages[0].role == "system"
        self._with_system += begins_with_system
        answers = len(row.messages) // 2
        self._turns[str(answers) if answers < 4 else "4+"] += 1
        question, answer = row.messages[begins_with_system].content, row.messages[-1].content
        self._questions.add(question)
        self._answers.add(answer)
        self._openings.add(_DIGITS.sub("0", question.lstrip()[: 2 * _OPENING])[:_OPENING])
        self._forms[form_of(answer)] += 1
        self._language_changes += {language_of(row.messages[-2].content), language_of(answer)} == {"zh", "en"}

    def description(self, seconds: float) -> Description:
        """What was found."""
        opening, alike = self._openings.commonest()
        return Description(
            measure="tokens" if self._is_tokens else "characters",
            rows=self.rows,
            kinds=dict(self._kinds),
            lengths=self._lengths.lengths(),
            trained_tokens=self._trained,
            untrained_rows=self._untrained,
            turns=dict(sorted(self._turns.items())),
            with_system=self._with_system,
            languages=dict(self._languages.most_common()),
            language_changes=self._language_changes,
            forms=dict(self._forms.most_common()),
            labels={name: values.classes() for name, values in self._labels.items()},
            distinct_questions=self._questions.count(),
            distinct_answers=self._answers.count(),
            commonest_opening=opening,
            commonest_opening_rows=alike,
            seconds=round(seconds, 3),
        )


def _characters(block: list[Row]) -> list[tuple[int, int]]:
    return [(sum(map(len, texts_of(row))), 0) for row in block]


def _token_measure(spec: DescribeSpec) -> Measure:
    """Lengths in tokens, by the functions that training uses."""
    from appliance.stages.language_model.chat_template import ChatTemplate
    from appliance.stages.language_model.tokenizer import load_tokenizer, tokenizer_folder

    tokenizer = load_tokenizer(tokenizer_folder(Path(spec.base), Path(spec.adapter) if spec.adapter else None))
    template: list[ChatTemplate] = []

    def counts(marked: Iterable[MarkedText]) -> list[tuple[int, int]]:
        return [(len(one.ids), int(one.trained.sum())) for one in marked]

    def measure(block: list[Row]) -> list[tuple[int, int]]:
        if isinstance(block[0], Document):
            return counts(mark_documents([row for row in block if isinstance(row, Document)], tokenizer))
        if not template:
            template.append(ChatTemplate(tokenizer))  # documents need none
        return counts(mark_conversations([row for row in block if isinstance(row, Conversation)], tokenizer, template[0]))

    return measure

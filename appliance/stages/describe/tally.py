"""Everything that is counted of rows, and put together from the counts of parts."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

from appliance.domain.conversation import Conversation
from appliance.domain.description import Description, Form, Language
from appliance.domain.document import Document
from appliance.domain.row import Row, texts_of
from appliance.stages.describe.counting import CommonValues, DistinctTexts, LengthCounts
from appliance.stages.describe.writing import form_of, language_of

_OPENING = 6
"""Characters of a question that count as its beginning."""
_MOST_LABELS = 100
_DIGITS = re.compile(r"\d+")


class Tally:
    """Counts of some rows; those of several parts can be merged, in whatever process they were made."""

    def __init__(self, *, is_tokens: bool) -> None:
        self.rows = 0
        self._is_tokens = is_tokens
        self._lengths = LengthCounts()
        self._kinds, self._turns = Counter[str](), Counter[str]()
        self._languages, self._forms = Counter[Language](), Counter[Form]()
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
            if (values := self._values_of(name)) is not None:
                values.add(value)

    def merge(self, other: Tally) -> None:
        """Take the counts of other rows in."""
        self.rows += other.rows
        self._lengths.merge(other._lengths)
        self._questions.merge(other._questions)
        self._answers.merge(other._answers)
        self._openings.merge(other._openings)
        self._kinds.update(other._kinds)
        self._turns.update(other._turns)
        self._languages.update(other._languages)
        self._forms.update(other._forms)
        for name, theirs in other._labels.items():
            if (values := self._values_of(name)) is not None:
                values.merge(theirs)
        self._trained += other._trained
        self._untrained += other._untrained
        self._with_system += other._with_system
        self._language_changes += other._language_changes

    def _values_of(self, label: str) -> CommonValues | None:
        """Of a label; None for one too many."""
        if label not in self._labels and len(self._labels) == _MOST_LABELS:
            return None
        return self._labels.setdefault(label, CommonValues())

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

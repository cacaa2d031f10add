"""The exam: questions whose answers are marked by what they must say and must not say.

One JSON object per line: ``{"id", "question", "required": [...], "forbidden": [...], "system"}``; ``forbidden`` and ``system`` may be left
out. An answer is right when all required and none of the forbidden texts occur in it, both sides in Unicode's form NFKC, so that
full-width digits count as digits.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.files.lines import read_lines

ANSWER_TOKENS = 64
"""Longest answer in tokens."""

_Text = Annotated[str, Meta(min_length=1)]


class Question(msgspec.Struct, frozen=True):
    """One question and how its answer is marked."""

    id: _Text
    question: _Text
    required: tuple[_Text, ...]
    """Texts that a right answer has, all of them."""
    forbidden: tuple[_Text, ...] = ()
    """Texts that make an answer wrong."""
    system: str = ""
    """A system turn before the question."""

    def messages(self) -> list[Message]:
        """The conversation that the model continues."""
        opening = [Message("system", self.system)] if self.system else []
        return [*opening, Message("user", self.question)]

    def missing_in(self, answer: str) -> tuple[str, ...]:
        """Required texts that an answer lacks."""
        said = _comparable(answer)
        return tuple(text for text in self.required if _comparable(text) not in said)

    def forbidden_in(self, answer: str) -> tuple[str, ...]:
        """Forbidden texts that an answer has."""
        said = _comparable(answer)
        return tuple(text for text in self.forbidden if _comparable(text) in said)


def read_exam(path: Path) -> list[Question]:
    """All questions; raises ``exam_missing``, ``exam_line_invalid``, ``exam_id_repeated`` or ``exam_empty``."""
    if not path.is_file():
        raise ApplianceError("exam_missing", path=str(path))
    decoder = msgspec.json.Decoder(Question)
    questions: dict[str, Question] = {}
    for line, _, data in read_lines(path):
        if not data.strip():
            continue
        try:
            question = decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApplianceError("exam_line_invalid", path=str(path), line=line, reason=str(error)[:200]) from error
        if not question.required and not question.forbidden:
            raise ApplianceError("exam_question_without_key", path=str(path), line=line)
        if question.id in questions:
            raise ApplianceError("exam_id_repeated", path=str(path), line=line, id=question.id)
        questions[question.id] = question
    if not questions:
        raise ApplianceError("exam_empty", path=str(path))
    return list(questions.values())


def _comparable(text: str) -> str:
    return unicodedata.normalize("NFKC", text)

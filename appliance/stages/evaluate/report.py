"""The report: scores on top, below them every question with its answer and its mark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.event import Artifact
from appliance.files.checksum import file_sha256, size_of
from appliance.files.publish import published_file
from appliance.stages.evaluate.exam import Question


class MarkedAnswer(msgspec.Struct, frozen=True):
    """One question of the exam and how it went."""

    id: str
    question: str
    answer: str
    correct: bool
    missing: tuple[str, ...] = ()
    """Required texts that the answer lacks."""
    forbidden: tuple[str, ...] = ()
    """Forbidden texts that it has."""


class LossResult(msgspec.Struct, frozen=True):
    """How well held-out answers were predicted."""

    loss: float
    """Cross entropy per token of the assistant, in nats."""
    perplexity: float
    rows: int
    rows_left_out: int
    tokens: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that the examination of one model gave."""

    model: dict[str, Any]
    """Which model: ``base``, ``adapter``, ``gguf`` (paths or empty) and ``quantized_base``."""
    loss: LossResult | None
    exam: list[MarkedAnswer]
    seconds: float
    merged: dict[str, float] = {}
    """Loss of the adapter on the ``original`` base and on the ``dequantized`` one, where it was asked for."""

    def scores(self) -> dict[str, float]:
        """Each measured quality by name."""
        scores: dict[str, float] = {}
        if self.loss is not None:
            scores |= {"validation_loss": self.loss.loss, "perplexity": self.loss.perplexity}
        scores |= {f"loss_{into}": loss for into, loss in self.merged.items()}
        if self.exam:
            scores["exam_accuracy"] = sum(answer.correct for answer in self.exam) / len(self.exam)
        return scores

    def facts(self) -> dict[str, Any]:
        """The scores with their counts, for the record."""
        facts: dict[str, Any] = {"scores": self.scores(), **self.scores(), "model": self.model, "seconds": self.seconds}
        if self.loss is not None:
            facts |= {"rows": self.loss.rows, "rows_left_out": self.loss.rows_left_out, "tokens": self.loss.tokens}
        if self.exam:
            facts |= {"exam_correct": sum(answer.correct for answer in self.exam), "exam_questions": len(self.exam)}
        return facts


def marked(question: Question, answer: str) -> MarkedAnswer:
    """A question with its answer and mark."""
    missing, forbidden = question.missing_in(answer), question.forbidden_in(answer)
    return MarkedAnswer(question.id, question.question, answer, not missing and not forbidden, missing, forbidden)


def publish_report(report: Report, output: Path) -> Artifact:
    """Write the report as JSON and describe it."""
    written = {"scores": report.scores(), **msgspec.to_builtins(report)}
    with published_file(output) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1))
    return Artifact(role="report", path=str(output), sha256=file_sha256(output), size=size_of(output), facts=report.facts())

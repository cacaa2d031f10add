"""The rows of a training: those of its dataset, and beside them general rows, so that what the base could do is not forgotten (replay)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Notice
from appliance.domain.spec import MixedRows, TrainSpec
from appliance.stages.language_model.token_cache import TokenCache, cached_rows
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.order import Part
from appliance.stages.train.preference_rows import cached_preferences


@dataclass(frozen=True)
class Mixture:
    """Rows of several datasets, one dataset after another, and how many of each an epoch sees."""

    rows: TokenizedRows
    """All of them, the dataset's own first."""
    own: TokenizedRows
    """Of the dataset itself."""
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    """Of the datasets that are mixed in."""

    @classmethod
    def of(cls, own: TokenizedRows, others: Sequence[tuple[MixedRows, TokenizedRows]] = ()) -> Mixture:
        """All own rows in every epoch, and of the others so many that their shares of the epoch come out."""
        rest = 1.0 - sum(mixed.share for mixed, _ in others)
        parts = [Part(len(own), len(own))]
        parts += [Part(len(rows), max(1, round(len(own) * mixed.share / rest))) for mixed, rows in others]
        joined = TokenizedRows.joined([own, *(rows for _, rows in others)]) if others else own
        return cls(joined, own, tuple(parts), tuple(mixed.name for mixed, _ in others))

    def facts(self) -> list[dict[str, Any]]:
        """What was mixed in, for the record."""
        others = zip(self.names, self.parts[1:], strict=True)
        return [{"name": name, "rows": part.rows, "rows_per_epoch": part.taken} for name, part in others]


def read_rows(spec: TrainSpec, tokenizer: Any, emit: Emit) -> tuple[Mixture, TokenizedRows | None]:
    """What is trained, and the rows for validation.

    Raises ``nothing_to_mix`` for a dataset of which no row can be used.
    """
    recipe, cache = spec.recipe, _cache(spec)

    def read(path: str) -> TokenizedRows:
        return cached_rows(Path(path), tokenizer, recipe.max_length, emit, recipe.long_rows, cache)

    if recipe.objective == "preferences":
        if spec.mixed:
            raise ApplianceError("preferences_cannot_be_mixed", ExitCode.USAGE)
        pairs, *held_out = (
            cached_preferences(Path(path), tokenizer, recipe.max_length, emit, recipe.long_rows, cache)
            for path in (spec.train_rows, spec.validation_rows)
            if path
        )
        return Mixture.of(pairs, []), next(iter(held_out), None)
    own = read(spec.train_rows)
    validation = read(spec.validation_rows) if spec.validation_rows else None
    others = [(mixed, read(mixed.rows)) for mixed in spec.mixed]
    mixture = Mixture.of(own, others)
    for (mixed, rows), part in zip(others, mixture.parts[1:], strict=True):
        told: dict[str, Any] = {"name": mixed.name, "rows": len(rows) + rows.left_out, "max_length": recipe.max_length}
        if not len(rows):
            raise ApplianceError("nothing_to_mix", **told)
        if rows.left_out:
            emit(Notice("warning", "mixed_rows_left_out", {**told, "too_long": rows.too_long, "untrained": rows.untrained}))
        if part.taken > part.rows:
            emit(Notice("warning", "mixed_rows_repeat", {"name": mixed.name, "rows": part.rows, "wanted": part.taken}))
    return mixture, validation


def read_general_rows(spec: TrainSpec, tokenizer: Any, emit: Emit) -> TokenizedRows | None:
    """The rows whose loss tells what is forgotten, after telling which of them are not used; None where there are none, which is told."""
    if not spec.general_rows:
        return None
    recipe = spec.recipe
    rows = cached_rows(Path(spec.general_rows), tokenizer, recipe.max_length, emit, recipe.long_rows, _cache(spec))
    told: dict[str, Any] = {"rows": len(rows) + rows.left_out, "max_length": recipe.max_length}
    if not len(rows):
        emit(Notice("warning", "general_rows_unusable", told))
        return None
    if rows.left_out:
        emit(Notice("warning", "general_rows_left_out", {**told, "too_long": rows.too_long, "untrained": rows.untrained}))
    if rows.cut:
        emit(Notice("warning", "general_rows_cut", {**told, "rows": len(rows), "cut": rows.cut}))
    return rows


def _cache(spec: TrainSpec) -> TokenCache | None:
    return TokenCache(Path(spec.cache, "tokens")) if spec.cache else None

"""Mix: one dataset of several, each with its share of the rows; of a field's rare classes rows may be used more than once.

The rows of the first dataset are all used, once, and of the others so many that the shares come out: the same meaning that ``--mix`` has in
training. Which rows are chosen and in what order follows from the seed alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.spec import MixSpec
from appliance.files.lines import LineWriter
from appliance.files.publish import published_folder
from appliance.files.space import disk_full_named, require_space
from appliance.stages.mix.choosing import balanced, chosen, shuffled, wanted_rows
from appliance.stages.mix.parts import Part, read_part

_TELL_EVERY = 4096
"""Rows between two Progress events."""

Array = NDArray[np.int64]


def run(spec: MixSpec, emit: Emit) -> None:
    """Read what is there, choose rows of every part, write them in one order, publish."""
    began = time.monotonic()
    recipe, place = spec.recipe, Path(spec.output)
    emit(Started(sum(_size(part.rows) for part in spec.parts), "bytes", "mix"))
    parts = _read(spec, emit)
    picks = _picks(spec, parts, emit)
    order = shuffled(sum(map(len, picks)), recipe.seed)
    owners = np.repeat(np.arange(len(parts)), [len(some) for some in picks])[order]
    rows = np.concatenate(picks)[order]
    require_space(place, sum(part.bytes_of(some) for part, some in zip(parts, picks, strict=True)))
    emit(Started(len(rows), "rows", "mix_write"))
    with disk_full_named(place), published_folder(place) as folder, LineWriter(folder / ROWS_FILE) as writer:
        for number, (owner, row) in enumerate(zip(owners.tolist(), rows.tolist(), strict=True), 1):
            writer.write(parts[owner].line(row))
            if number % _TELL_EVERY == 0:
                emit(Progress(number))
    facts = {
        "counts": {"read": sum(map(len, parts)), "rows": writer.count, "distinct": sum(len(np.unique(some)) for some in picks)},
        "kind": parts[0].kind,
        "parts": [_facts(part, some, writer.count) for part, some in zip(parts, picks, strict=True)],
        "recipe": msgspec.to_builtins(recipe),
        "seconds": round(time.monotonic() - began, 3),
    }
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=writer.sha256, size=writer.size, facts=facts)))


def _size(rows: str) -> int:
    if not Path(rows).is_file():
        raise ApplianceError("rows_missing", path=rows)
    return Path(rows).stat().st_size


def _read(spec: MixSpec, emit: Emit) -> list[Part]:
    """All parts, of one kind; raises ``mix_kinds_differ``, ``label_unknown``, ``rows_damaged`` or ``rows_empty``."""
    count_tokens = None
    if spec.base:
        from appliance.stages.language_model.token_count import token_counter  # seconds, and only when tokens are asked for

        count_tokens = token_counter(Path(spec.base))
    parts: list[Part] = []
    before = 0
    for mixed in spec.parts:
        for done, part in read_part(mixed, spec.recipe.balance_by, count_tokens):
            emit(Progress(before + done))
            if part is not None:
                parts.append(part)
        before += _size(mixed.rows)
        if parts[-1].kind != parts[0].kind:
            raise ApplianceError("mix_kinds_differ", ExitCode.USAGE, name=mixed.name, kind=parts[-1].kind, other=parts[0].kind)
    known = set().union(*(part.labels for part in parts))
    if spec.recipe.balance_by and spec.recipe.balance_by not in known:
        told = {"label": spec.recipe.balance_by, "known": ", ".join(sorted(known)[:20]) or "–"}
        raise ApplianceError("label_unknown", ExitCode.USAGE, **told)
    return parts


def _picks(spec: MixSpec, parts: list[Part], emit: Emit) -> list[Array]:
    """Which rows of each part are used; a row may occur several times."""
    recipe = spec.recipe
    passes = [balanced(part.classes, recipe) if recipe.balance_by else np.arange(len(part)) for part in parts]
    wanted = wanted_rows([len(some) for some in passes], [part.share for part in spec.parts], recipe)
    picks = []
    for number, (part, once, count) in enumerate(zip(parts, passes, wanted, strict=True)):
        if count > len(once):
            told: dict[str, Any] = {"name": part.name, "rows": len(once), "wanted": count}
            emit(Notice("warning", "mixed_rows_repeat" if recipe.repeat else "mixed_rows_missing", told))
        picks.append(chosen(once, count if recipe.repeat else min(count, len(once)), recipe.seed, number))
    return picks


def _facts(part: Part, some: Array, rows: int) -> dict[str, Any]:
    told: dict[str, Any] = {"name": part.name, "rows": len(part), "used": len(some), "share": round(len(some) / rows, 4)}
    if part.tokens is not None:
        told["tokens"] = int(part.tokens[some].sum())
    if part.names:
        told["classes"] = dict(zip(part.names, np.bincount(part.classes[some], minlength=len(part.names)).tolist(), strict=True))
    return told

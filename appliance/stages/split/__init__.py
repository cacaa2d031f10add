"""Split: rows are divided into training and validation by what they say, not by where they stand.

Every row gets a score from its content hash and the seed; scores below the share are validation. So equal rows are always on the same
side, and the order of rows and files changes nothing. It knows nothing of near-duplicates.
"""

from __future__ import annotations

import hashlib
import time
from array import array
from contextlib import ExitStack
from pathlib import Path

import msgspec

from appliance.domain.conversation import Conversation, from_json
from appliance.domain.dataset import ROWS_FILE
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.domain.recipe import SplitRecipe
from appliance.domain.spec import SplitSpec
from appliance.files.lines import BLOCK, LineWriter, read_lines
from appliance.files.publish import published_folder
from appliance.files.space import disk_full_named

SCORES = 1 << 64
"""Scores are whole numbers below this."""


def run(spec: SplitSpec, emit: Emit) -> None:
    """Score all rows, find where to cut, copy each row to its side, publish both sides."""
    began = time.monotonic()
    rows = Path(spec.rows)
    if not rows.is_file():
        raise ApplianceError("rows_missing", path=str(rows))
    size = rows.stat().st_size
    # The file is read twice: once to score, once to copy.
    emit(Started(total=2 * size, unit="bytes", what="split"))
    scores = _scores(rows, spec.recipe.seed, emit)
    cut = _cut(scores, spec.recipe)
    outputs = {"train": Path(spec.train_output)}
    if cut > 0:
        outputs["validation"] = Path(spec.validation_output)
    with disk_full_named(outputs["train"]), ExitStack() as stack:
        folders = {role: stack.enter_context(published_folder(place)) for role, place in outputs.items()}
        written = _copy(rows, scores, cut, folders, emit, size)
    seconds = round(time.monotonic() - began, 3)
    for role, place in outputs.items():
        side = written[role]
        counts = {"read": len(scores), "rows": side.count}
        facts = {"side": role, "counts": counts, "recipe": msgspec.to_builtins(spec.recipe), "seconds": seconds}
        emit(Produced(Artifact(role=role, path=str(place), sha256=side.sha256, size=side.size, facts=facts)))


def score(row: Conversation, seed: int) -> int:
    """Where a row stands between 0 and ``SCORES``, by its content and the seed alone."""
    return int.from_bytes(hashlib.blake2b(row.content_hash(), digest_size=8, key=b"%d" % seed).digest())


def _scores(rows: Path, seed: int, emit: Emit) -> array[int]:
    """The score of every row in the file's order, 8 bytes each."""
    scores, told = array("Q"), 0
    for line, position, data in read_lines(rows):
        try:
            scores.append(score(from_json(data), seed))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApplianceError("rows_damaged", path=str(rows), line=line) from error
        if position - told >= BLOCK:
            emit(Progress(position))
            told = position
    return scores


def _cut(scores: array[int], recipe: SplitRecipe) -> int:
    """The first score that is training. With few rows it is moved so that neither side is empty."""
    if not scores:
        raise ApplianceError("rows_empty")
    if recipe.validation_share == 0:
        return 0
    lowest, highest = min(scores), max(scores)
    if lowest == highest:
        raise ApplianceError("too_few_rows", rows=len(scores))
    return max(lowest + 1, min(highest, int(recipe.validation_share * SCORES)))


def _copy(rows: Path, scores: array[int], cut: int, folders: dict[str, Path], emit: Emit, size: int) -> dict[str, LineWriter]:
    told = 0
    with ExitStack() as stack:
        sides = {role: stack.enter_context(LineWriter(folder / ROWS_FILE)) for role, folder in folders.items()}
        for line, position, data in read_lines(rows):
            sides["validation" if scores[line - 1] < cut else "train"].write(data)
            if position - told >= BLOCK:
                emit(Progress(size + position))
                told = position
    return sides

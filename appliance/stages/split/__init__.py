"""Split: rows are divided into training, validation and test by what they say, not by where they stand.

Every row gets a score from its content hash and the seed; the lowest scores are validation, the next ones test. So equal rows are always
on the same side, and the order of rows and files changes nothing. Rows that say nearly the same go together with the one of them whose
content hash is the smallest. It does not judge rows, that is cleaning.
"""

from __future__ import annotations

import time
from array import array
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.domain.dataset import ROWS_FILE
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.domain.recipe import SplitRecipe
from appliance.domain.spec import SplitSpec
from appliance.files.lines import BLOCK, LineWriter, read_lines
from appliance.files.publish import published_folder
from appliance.files.rows import read_rows
from appliance.files.space import disk_full_named, require_space
from appliance.stages.split.sides import SIDES, Rows, divided, score


def run(spec: SplitSpec, emit: Emit) -> None:
    """Identify all rows, find who belongs together, divide, copy each row to its side, publish all sides."""
    began = time.monotonic()
    path = Path(spec.rows)
    if not path.is_file():
        raise ApplianceError("rows_missing", path=str(path))
    size = path.stat().st_size
    outputs = {"train": spec.train_output, "validation": spec.validation_output, "test": spec.test_output}
    shares = {"train": 1.0, "validation": spec.recipe.validation_share, "test": spec.recipe.test_share}
    places = {side: Path(output) for side, output in outputs.items() if output and shares[side]}
    require_space(places["train"], size)
    # The file is read twice: once to score, once to copy.
    emit(Started(total=2 * size, unit="bytes", what="split"))
    rows, kind = _read(path, spec.recipe, emit)
    first, grouped = _groups(spec, path, len(rows), places["train"], emit)
    sides = divided(rows, first, spec.recipe)
    with disk_full_named(places["train"]), ExitStack() as stack:
        folders = {side: stack.enter_context(published_folder(place)) for side, place in places.items()}
        emit(Started(total=2 * size, unit="bytes", what="split"))
        written = _copy(path, sides, folders, emit, size)
    seconds = round(time.monotonic() - began, 3)
    for side, place in places.items():
        counts = {"read": len(rows), "rows": written[side].count}
        facts = {
            "side": side,
            "kind": kind,
            "counts": counts,
            "near_duplicates": grouped,
            "classes": rows.counted(sides, side),
            "recipe": msgspec.to_builtins(spec.recipe),
            "seconds": seconds,
        }
        emit(Produced(Artifact(role=side, path=str(place), sha256=written[side].sha256, size=written[side].size, facts=facts)))


def _read(path: Path, recipe: SplitRecipe, emit: Emit) -> tuple[Rows, str]:
    """What decides about each row, 20 bytes for each, and the kind of rows."""
    label = recipe.stratify_by
    hashes, scores, classes, names = array("Q"), array("Q"), array("i"), dict[str, int]()
    known: set[str] = set()
    kind, told = "conversations", 0
    for line, position, row in read_rows(path):
        content_hash = row.content_hash()
        hashes.append(int.from_bytes(content_hash[:8]))
        scores.append(score(content_hash, recipe.seed))
        known.update(row.labels)
        classes.append(names.setdefault(row.labels.get(label, ""), len(names)) if label else 0)
        if line == 1 and isinstance(row, Document):
            kind = "documents"
        if position - told >= BLOCK:
            emit(Progress(position))
            told = position
    if not hashes:
        raise ApplianceError("rows_empty")
    if label and label not in known:
        raise ApplianceError("label_unknown", ExitCode.USAGE, label=label, known=", ".join(sorted(known)[:20]) or "–")
    return Rows(np.array(hashes, np.uint64), np.array(scores, np.uint64), np.array(classes, np.int32), tuple(names)), kind


def _groups(spec: SplitSpec, path: Path, count: int, place: Path, emit: Emit) -> tuple[NDArray[np.int64] | None, dict[str, int]]:
    """Of every row the first one that says nearly the same, and how many do."""
    if not spec.recipe.near_duplicates or not (spec.recipe.validation_share or spec.recipe.test_share):
        return None, {}
    from appliance.stages.near_duplicates import find_groups  # a second, and only when it is asked for

    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(place.name + ".sketches.partial")
    scratch.unlink(missing_ok=True)
    groups = find_groups(path, count, spec.recipe.similarity, scratch, emit)
    return groups.first, groups.facts()


def _copy(path: Path, sides: NDArray[np.uint8], folders: dict[str, Path], emit: Emit, size: int) -> dict[str, LineWriter]:
    told, names = 0, [SIDES[side] for side in sides.tolist()]
    with ExitStack() as stack:
        writers = {side: stack.enter_context(LineWriter(folder / ROWS_FILE)) for side, folder in folders.items()}
        for line, position, data in read_lines(path):
            writers[names[line - 1]].write(data)
            if position - told >= BLOCK:
                emit(Progress(size + position))
                told = position
    return writers

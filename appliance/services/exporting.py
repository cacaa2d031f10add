"""Rows of a dataset written for other programs: into a new file, whole or not at all, with a list of what its form cannot carry."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from appliance.domain.dataset import Dataset, Rejected, printable
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.row import texts_of
from appliance.domain.spreadsheet import guarded
from appliance.services.datasets import DatasetService
from appliance.services.rejections import whole_rejections
from appliance.services.row_forms import CSV_COLUMNS, FORMS, NotCarried

LEFT_OUT_SUFFIX = ".left-out.jsonl"
REJECTED_COLUMNS = ("line", "element", "reason", "excerpt", "source")
_BLOCK = 1 << 20

Line = bytes
"""One line of the export with its newline; of CSV a record, which may hold line breaks."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    id: str
    """Of the dataset."""
    name: str
    path: str
    form: str
    counts: dict[str, int]
    """``written`` and ``left_out``."""
    left_out: str = ""
    """Path of the list of rows that the form cannot carry; empty when there are none."""


def require_form(form: str) -> str:
    """Raise ``form_unknown`` for a form that nobody knows."""
    if form not in FORMS:
        raise ApplianceError("form_unknown", ExitCode.USAGE, form=form, known=", ".join(FORMS))
    return form


def lines_of(datasets: DatasetService, dataset: Dataset, form: str, leave_out: Callable[[Rejected], None]) -> Iterator[Line]:
    """Every row in a form, as lines of bytes; a row that the form cannot carry goes to ``leave_out`` with its line and reason."""
    convert = FORMS[require_form(form)]
    encode = _csv_encoder(CSV_COLUMNS) if form == "csv" else _json_line
    if form == "csv":
        yield _header(CSV_COLUMNS)
    for number, row in enumerate(datasets.rows(dataset.id), 1):
        try:
            yield encode(convert(row))
        except NotCarried as verdict:
            leave_out(Rejected(number, verdict.reason, {}, printable("\n".join(texts_of(row))), source=row.source))


def rejected_lines(datasets: DatasetService, dataset: Dataset, form: str) -> Iterator[Line]:
    """The rows that were not accepted when the dataset was made, as JSON lines (whole where they are known) or with ``csv`` as a table."""
    require_form(form)
    if form != "csv":
        yield from map(_json_line, whole_rejections(datasets, dataset))
        return
    encode = _csv_encoder(REJECTED_COLUMNS)
    yield _header(REJECTED_COLUMNS)
    for entry in datasets.rejected(dataset.id):
        yield encode({name: guarded(str(entry.get(name, ""))) for name in REJECTED_COLUMNS})


def write_rows(datasets: DatasetService, key: str, target: Path, form: str) -> Exported:
    """Write a dataset into a new file; what its form cannot carry is listed beside it.

    Raises ``form_unknown``, ``rows_missing``, ``target_exists`` or ``target_not_writable``; a file that did not become whole is removed.
    """
    dataset = datasets.get(key)
    require_form(form)
    with ExitStack() as files:
        listing = _LateFile(target.with_name(target.name + LEFT_OUT_SUFFIX), files)
        write = _new_file(target, files)
        written = sum(1 for line in lines_of(datasets, dataset, form, lambda entry: listing.write(_json_line(entry))) if write(line))
    counts = {"written": written - (form == "csv"), "left_out": listing.count}
    beside = str(listing.path) if listing.count else ""
    return Exported(id=dataset.id, name=dataset.name, path=str(target), form=form, counts=counts, left_out=beside)


def write_rejected(datasets: DatasetService, key: str, target: Path, form: str) -> Exported:
    """Write the rows that were not accepted into a new file. Raises what ``write_rows`` raises."""
    dataset = datasets.get(key)
    require_form(form)
    with ExitStack() as files:
        write = _new_file(target, files)
        written = sum(1 for line in rejected_lines(datasets, dataset, form) if write(line))
    counts = {"written": written - (form == "csv"), "left_out": 0}
    return Exported(id=dataset.id, name=dataset.name, path=str(target), form=form, counts=counts)


class _LateFile:
    """A new file that is made when the first line comes."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self.path = path
        self.count = 0
        self._files = files
        self._write: Callable[[bytes], int] | None = None

    def write(self, line: bytes) -> None:
        """Append a line."""
        if self._write is None:
            self._write = _new_file(self.path, self._files)
        self._write(line)
        self.count += 1


def _new_file(path: Path, files: ExitStack) -> Callable[[bytes], int]:
    """What writes to a new file until ``files`` is closed; when that happens by an error, the file is removed."""
    return files.enter_context(_whole_or_none(path)).write


@contextmanager
def _whole_or_none(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("xb", buffering=_BLOCK) as file:
            try:
                yield file
                file.flush()
            except BaseException:
                path.unlink()
                raise
    except FileExistsError:
        raise ApplianceError("target_exists", ExitCode.USAGE, path=str(path)) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        exit_code = ExitCode.NO_ROOM if full else ExitCode.USAGE
        raise ApplianceError("target_not_writable", exit_code, path=str(path), reason=error.strerror or "") from error


def _json_line(value: Any) -> Line:
    return msgspec.json.encode(value) + b"\n"


def _header(columns: Sequence[str]) -> Line:
    """With a byte order mark, without which Excel takes UTF-8 for something else."""
    return b"\xef\xbb\xbf" + ",".join(columns).encode() + b"\r\n"


def _csv_encoder(columns: Sequence[str]) -> Callable[[dict[str, str]], Line]:
    """Cells as a record of RFC 4180, all of them in quotes."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")

    def encode(cells: dict[str, str]) -> Line:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([cells[name] for name in columns])
        return buffer.getvalue().encode("utf-8", "surrogatepass")

    return encode

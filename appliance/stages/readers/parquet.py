"""Parquet by arro3 (the Rust implementation of Arrow): every row as a JSON object, so that all forms of rows may lie in such a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from arro3.io import read_parquet

from appliance.stages.readers.part import BEGINNING, LONGEST, Options, Part, Records, Unread

ROWS_AT_ONCE = 256


def parts(path: Path, options: Options) -> Iterator[Part]:
    """The rows in their order."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    number = 0
    for batch in read_parquet(str(path), batch_size=BEGINNING if options.only_beginning else ROWS_AT_ONCE):
        columns = {name: batch.column(name).to_pylist() for name in batch.column_names}
        rows: list[msgspec.Raw] = []
        size = 0
        for position in range(batch.num_rows):
            number += 1
            row = encode({name: _text(values[position]) for name, values in columns.items()})
            if len(row) <= LONGEST:
                rows.append(msgspec.Raw(row))
                size += len(row)
            if len(row) > LONGEST or size > LONGEST:
                yield Records(rows)
                rows, size = [], 0
            if len(row) > LONGEST:
                yield Unread(str(number), number, "row_too_large", {"limit": LONGEST})
        yield Records(rows)
        if options.only_beginning:
            return


def _text(value: Any) -> Any:
    """Old programs write texts as bytes without saying that they are texts."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value

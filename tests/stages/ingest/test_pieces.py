"""Cutting a text into rows: the same whatever the block boundaries, in bounded memory whatever the text."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.stages.ingest import pieces
from appliance.stages.ingest.refusal import MAX_ROW_BYTES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\[]{},\n长', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('k"{', max_size=3), inner, max_size=3),
    max_leaves=12,
)


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    """The data in blocks that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return (data[begin:end] for begin, end in itertools.pairwise(ends))


@given(st.lists(JSON, max_size=6), st.lists(st.integers(0, 500), max_size=12), st.sampled_from([None, 1]), st.booleans())
def test_elements_are_those_of_json(values: list[object], places: list[int], indent: int | None, is_ascii: bool) -> None:
    """The pieces of a list are exactly the elements that the JSON parser finds, and each begins on the line it says."""
    data = b" \n" + json.dumps(values, indent=indent, ensure_ascii=is_ascii).encode() + b"\n"
    found = list(pieces.elements(cut(data, places)))
    assert [json.loads(piece.data) for piece in found] == values
    assert [piece.element for piece in found] == list(range(1, len(values) + 1))
    assert not any(piece.problem for piece in found)
    lines = data.split(b"\n")
    assert all(lines[piece.line - 1].strip().startswith(piece.data.split(b"\n")[0][:1]) or indent is None for piece in found)


@given(st.binary(max_size=80), st.lists(st.integers(0, 100), max_size=8))
def test_lines_are_those_of_split(data: bytes, places: list[int]) -> None:
    """The pieces are the lines that are not blank, numbered as an editor does."""
    expected = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    assert [(piece.line, piece.data) for piece in pieces.lines(cut(data, places))] == expected


@given(st.binary(max_size=200).map(lambda data: b"[" + data), st.lists(st.integers(0, 300), max_size=8))
def test_any_bytes_end(data: bytes, places: list[int]) -> None:
    """Arbitrary bytes are cut into pieces without an error, the same pieces wherever blocks end."""
    assert list(pieces.elements(cut(data, places))) == list(pieces.elements(iter([data])))


MEBIBYTE = 1 << 20
HUGE = {
    "one line": (pieces.lines, b"", b"x" * MEBIBYTE, b"\n{}\n"),
    "string in a list": (pieces.elements, b'[\n{"a": "', b"x" * MEBIBYTE, b'"},\n{}]'),
    "escapes in a string": (pieces.elements, b'[\n{"a": "', b'\\"' * (MEBIBYTE // 2), b'"},\n{}]'),
    "nested lists": (pieces.elements, b"[\n[", b"[]," * (MEBIBYTE // 3), b"],\n{}]"),
    "bare word": (pieces.elements, b"[\n1", b"1" * MEBIBYTE, b",\n{}]"),
    "blank lines in a list": (pieces.elements, b"[", b"\n" * (MEBIBYTE // 8), b"{}]"),
    "blank lines": (pieces.lines, b"", b"\n" * (MEBIBYTE // 8), b"{}"),
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_rows_are_passed_over(kind: str) -> None:
    """A row of up to 64 MB costs a few megabytes, is reported as too large with its line, and the row behind it is found."""
    cutting, before, block, after = HUGE[kind]
    # Brackets and blank lines are counted one by one, which is slow.
    count = 2 if kind.startswith(("blank", "nested")) else 64

    def blocks() -> Iterator[bytes]:
        yield before
        for _ in range(count):
            yield block
        yield after

    tracemalloc.start()
    found = [piece for piece in cutting(blocks()) if piece.data]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    newlines = (before + block * count + after).split(b"{}")[0].count(b"\n")
    assert found[-1].data == b"{}"
    assert found[-1].line == newlines + 1
    if not kind.startswith("blank"):
        assert [piece.problem for piece in found] == ["row_too_large", ""]
        assert found[0].line == (1 if kind == "one line" else 2)
        assert len(found[0].data) <= pieces.HEAD
    assert peak < 6 * MEBIBYTE


def test_limit_is_exact() -> None:
    """A row of exactly the limit is whole, one byte more is too large, in lines and in lists alike."""
    for size, problem in ((MAX_ROW_BYTES, ""), (MAX_ROW_BYTES + 1, "row_too_large")):
        row = b'"' + b"x" * (size - 2) + b'"'
        assert [piece.problem for piece in pieces.lines(iter([row + b"\n"]))] == [problem]
        assert [piece.problem for piece in pieces.lines(iter([row[:9], row[9:]]))] == [problem]
        assert [piece.problem for piece in pieces.elements(iter([b"[" + row + b"]"]))] == [problem]
        assert [piece.problem for piece in pieces.elements(iter([b"[" + row[:9], row[9:], b"]"]))] == [problem]

"""Any line of a long file, against reading the file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.files.line_index import LineIndex


def test_every_line_is_found_in_any_order(tmp_path: Path) -> None:
    """Asked forwards, backwards and behind the end, the index gives the file's lines with their places."""
    lines = [b"x" * (number % 97) + b"\n" for number in range(3000)] + [b"the last without a newline"]
    place = tmp_path / "rows"
    place.write_bytes(b"".join(lines))
    places = [sum(map(len, lines[:number])) for number in range(len(lines))]
    index = LineIndex(place)
    for first, count in ((2999, 5), (0, 3), (256, 1), (255, 2), (1500, 700), (4000, 2), (3000, None)):
        wanted = list(zip(places, lines, strict=True))[first : None if count is None else first + count]
        assert list(index.lines(first, count)) == wanted


@given(st.lists(st.binary(max_size=5), max_size=40), st.integers(0, 50), st.integers(0, 10))
def test_any_bytes(tmp_path_factory: object, lines: list[bytes], first: int, count: int) -> None:
    """Whatever the lines hold, what is found is what iterating finds."""
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join(lines))
        file.flush()
        wanted = Path(file.name).read_bytes().splitlines(keepends=True) if b"\r" not in b"".join(lines) else None
        found = [line for _, line in LineIndex(Path(file.name)).lines(first, count)]
        with Path(file.name).open("rb") as again:
            assert found == list(again)[first : first + count]
        assert wanted is None or len(found) <= len(wanted)

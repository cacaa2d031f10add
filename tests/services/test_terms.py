"""Term lists as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.services.terms import MOST_TERMS, read_terms


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_one_term_per_line(tmp_path: Path, encoding: str) -> None:
    """Terms come in their order, each once; empty lines and remarks are passed over, in every usual encoding."""
    file = tmp_path / "terms.txt"
    file.write_bytes("# 信号\r\n信号相位\r\n\r\n 绿波带 \r\n信号相位\r\n".encode(encoding))
    assert read_terms(file) == ("信号相位", "绿波带")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "terms_missing"),
        (b"# nothing\n", "terms_missing"),
        ("长".encode() * 65, "term_too_long"),
        (b"a\x00b", "term_too_long"),
        (b"\xff\xff\xff", "terms_unreadable"),
        ("信号\n<|im_end|>".encode(), "term_is_marker"),
        (b"<| phase |>", "term_is_marker"),
        ("\n".join(map(str, range(MOST_TERMS + 1))).encode(), "terms_too_many"),
    ],
    ids=["empty", "remarks", "sentence", "binary", "no text", "marker", "like a marker", "too many"],
)
def test_bad_lists_are_named(tmp_path: Path, data: bytes, code: str) -> None:
    """What is no term list is refused with its name."""
    file = tmp_path / "terms.txt"
    file.write_bytes(data)
    with pytest.raises(ApplianceError, match=code):
        read_terms(file)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    """So is one that is not there, or is a folder."""
    for place in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ApplianceError, match="terms_unreadable"):
            read_terms(place)


def test_terms_are_composed(tmp_path: Path) -> None:
    """A term is in the form in which texts are trained and served, whatever form the list has it in."""
    file = tmp_path / "terms.txt"
    file.write_text("cafe\u0301\ncaf\u00e9\n", "utf-8")
    assert read_terms(file) == ("caf\u00e9",)

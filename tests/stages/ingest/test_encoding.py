"""Encodings are decided by content, told when they are not UTF-8, and never guessed into nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.domain.errors import ApplianceError

Import = Callable[..., Any]

SIMPLIFIED = {"instruction": "早高峰时段如何调整信号配时？", "output": "应当根据检测到的流量，延长主要方向的绿灯时间，并检查周期是否一致。"}
TRADITIONAL = {
    "instruction": "早高峰時段如何調整號誌時間？",
    "output": "應當根據檢測到的流量，延長主要方向的綠燈時間，並檢查週期是否一致。",
}
RARE = {"instruction": "㐂䶮𠮷是什么字？", "output": "都是罕见的姓名用字。"}

ENCODED = {
    "utf-8": ("utf-8", SIMPLIFIED, "utf-8"),
    "utf-8 with mark": ("utf-8-sig", SIMPLIFIED, "utf-8"),
    "gb18030": ("gb18030", SIMPLIFIED, "gb18030"),
    "gbk": ("gbk", SIMPLIFIED, "gb18030"),
    "gb18030, four bytes": ("gb18030", RARE, "gb18030"),
    "big5": ("big5", TRADITIONAL, "big5"),
    "utf-16 with mark": ("utf-16", SIMPLIFIED, "utf-16-le"),
    "utf-16-le": ("utf-16-le", SIMPLIFIED, "utf-16-le"),
    "utf-16-be": ("utf-16-be", SIMPLIFIED, "utf-16-be"),
}


@pytest.mark.parametrize("kind", ENCODED)
@pytest.mark.parametrize("container", ["lines", "list", "table"])
def test_encoding_is_decided(import_bytes: Import, kind: str, container: str) -> None:
    """The text arrives as it was written, the encoding is on record and, unless it is UTF-8, told with the first words."""
    codec, row, decided = ENCODED[kind]
    rows = [row] * 3
    text = {
        "lines": "\n".join(json.dumps(one, ensure_ascii=False) for one in rows),
        "list": json.dumps(rows, ensure_ascii=False, indent=1),
        "table": "instruction,output\n" + "\n".join(f'"{one["instruction"]}","{one["output"]}"' for one in rows),
    }[container]
    imported = import_bytes(text.encode(codec), name="rows.txt")
    assert imported.turns == [[("user", row["instruction"]), ("assistant", row["output"])]] * 3
    assert imported.facts["encoding"] == decided
    assert ("encoding_found" in imported.notices) == (decided != "utf-8")
    if decided != "utf-8":
        assert imported.notices["encoding_found"]["sample"].startswith(text[:10].split("\n")[0])


def test_block_boundaries_do_not_matter(import_bytes: Import) -> None:
    """Characters that lie across the blocks of a large file stay whole in every encoding."""
    rows = [{"instruction": f"第{number}问", "output": "答" * (number % 50 + 1)} for number in range(20_000)]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    expected = import_bytes(text.encode(), name="utf8").turns
    assert len(expected) == len(rows)
    for codec in ("gb18030", "utf-16-le"):
        assert import_bytes(text.encode(codec), name=codec).turns == expected


def test_one_nul_is_not_utf16(import_bytes: Import) -> None:
    """A stray NUL byte in a short file does not make it UTF-16: the row that holds it is rejected."""
    for stray in (b'{"instruction": "q\x00", "output": "a"}\n', b'{"instruction": "\x00q", "output": "a"}\n'):
        imported = import_bytes(stray + b'{"instruction": "q", "output": "a"}\n', name=f"{len(stray)}{stray[17]}")
        assert imported.reasons == [(1, "row_control_bytes")]


def test_late_chinese_decides(import_bytes: Import) -> None:
    """A file whose first megabytes are plain ASCII is decided by the text that comes after them."""
    ascii_row = json.dumps({"instruction": "q", "output": "a" * 1000}) + "\n"
    data = (ascii_row * 3000 + json.dumps(SIMPLIFIED, ensure_ascii=False)).encode("gb18030")
    imported = import_bytes(data)
    assert imported.facts["encoding"] == "gb18030"
    assert imported.turns[-1][0] == ("user", SIMPLIFIED["instruction"])


@pytest.mark.parametrize("asked", ["gbk", "GB18030", "gb2312"])
def test_encoding_can_be_named(import_bytes: Import, asked: str) -> None:
    """What the operator names is used without a look at the content."""
    data = json.dumps(SIMPLIFIED, ensure_ascii=False).encode("gbk")
    assert import_bytes(data, encoding=asked).turns[0][0] == ("user", SIMPLIFIED["instruction"])


def test_wrongly_named_encoding_gives_no_replacement(import_bytes: Import) -> None:
    """UTF-8 read as UTF-16 or as Big5 is refused row by row, or as a whole; no replacement character is ever written."""
    data = "\n".join(json.dumps(SIMPLIFIED, ensure_ascii=False) for _ in range(3)).encode()
    for asked in ("utf-16", "utf-16-le", "big5"):
        with pytest.raises(ApplianceError):
            import_bytes(data, name=asked, encoding=asked)


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16-le"])
def test_damaged_character_costs_its_row_alone(import_bytes: Import, codec: str) -> None:
    """One byte that is lost or wrong rejects the row that holds it; its neighbours are whole."""
    lines = [json.dumps({**SIMPLIFIED, "input": str(number)}, ensure_ascii=False) + "\n" for number in range(9)]
    encoded = [line.encode(codec) for line in lines]
    encoded[4] = encoded[4].replace("应".encode(codec), b"\x00\xd8" if codec == "utf-16-le" else b"\xff\xff")
    imported = import_bytes(b"".join(encoded))
    assert imported.reasons == [(5, "row_encoding_broken")]
    assert len(imported.rows) == 8
    assert "\ufffd" not in str(imported.rows) + str(imported.rejected)

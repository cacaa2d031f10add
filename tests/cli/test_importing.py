"""``greenwave datasets import`` of files that are no JSON: looked at first, imported, learned from; and the worst of them by exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Greenwave
from tests.cli.test_life import SHORT, bring_in
from tests.stages.ingest.hostile import archives, pdfs, texts, word_documents
from tests.stages.ingest.office import Cell, word_document, word_paragraph, workbook, zipped

ROWS: list[list[Cell]] = [["一月接警记录", None], ["来电", "处理"], ["红灯太长", "已调整为六十秒"], ["护栏坏了", "已报修"]]
TEXTS = [f"第{number}号路口早高峰排队较长，应当延长绿灯，减少东西方向的等待。" for number in range(40)]


def test_looking_makes_nothing(greenwave: Greenwave, tmp_path: Path) -> None:
    """A look tells format, encoding, columns and rows, says what is missing, takes what is told, and leaves nothing behind."""
    table = tmp_path / "表.csv"
    table.write_bytes("标题行\n问题,回答\n甲,乙\n丙,\n".encode("gb18030"))
    seen = greenwave("datasets", "import", table, "--look", "--json")
    assert seen.status == 0, seen.err
    assert (seen.json["format"], seen.json["encoding"], seen.json["kind"]) == ("csv", "gb18030", "conversations")
    assert seen.json["columns"] == {"instruction": "问题", "output": "回答"}
    assert seen.json["headings"] == [{"table": "", "names": ["问题", "回答"]}]
    assert [row["source"] for row in seen.json["rows"]] == ["表.csv:3"]
    assert [row["reason"] for row in seen.json["rejected"]] == ["row_without_answer"]
    told = greenwave("datasets", "import", table, "--look").out
    assert "gb18030" in told and "甲" in told and "no answer" in told
    book = tmp_path / "a.xlsx"
    book.write_bytes(workbook(("一", ROWS)))
    refused = greenwave("datasets", "import", book, "--look", "--json")
    assert (refused.status, refused.error["code"]) == (3, "columns_unrecognised")
    named = ("--column", "instruction=来电", "--column", "output=处理")
    assert len(greenwave("datasets", "import", book, "--look", *named, "--json").json["rows"]) == 2
    assert greenwave("datasets", "list", "--json").json == []
    assert greenwave("runs", "list", "--json").json == []
    assert greenwave("datasets", "import", book, *named, "--json").error["code"] == "import_without_name"


def test_looking_at_hostile_words(greenwave: Greenwave, tmp_path: Path) -> None:
    """Escape sequences in names, columns and rows reach the screen as pictures of themselves."""
    table = tmp_path / "\x1b]0;x\x07.csv"
    table.write_text("问题,回答,\x1b[2J\n\x1b]52;c;eA==\x07,\u202e乙,\n", "utf-8")
    seen = greenwave("datasets", "import", table, "--look")
    assert seen.status == 0, seen.err
    assert not any(character in seen.out + seen.err for character in "\x1b\x07\u202e")


@pytest.mark.slow
def test_documents_are_learned_from(greenwave: Greenwave, tmp_path: Path) -> None:
    """A Word document and a text in one archive become documents, are divided and trained on as running text."""
    bring_in(greenwave)
    source = tmp_path / "材料.zip"
    report = word_document(*(part for text in TEXTS[:20] for part in (word_paragraph("标题", "1"), word_paragraph(text))))
    source.write_bytes(zipped({"报告.docx": report, "说明.txt": "\n".join(TEXTS[20:])}))
    made = greenwave("datasets", "import", source, "--name", "docs", "--json")
    assert made.status == 0, made.err
    assert (made.json["kind"], made.json["counts"]["rows"], made.json["facts"]["entries"]) == ("documents", 21, {"docx": 1, "text": 1})
    assert "第0号" in greenwave("datasets", "preview", "docs").out
    checked = greenwave("datasets", "redact", "docs", "--check", "--json")
    assert checked.status == 0, checked.err
    trained = greenwave("train", "--base", "base", "--dataset", "docs", "--name", "read", *SHORT, "--json")
    assert trained.status == 0, trained.err
    assert trained.json["facts"]["trained_tokens"] > 0


BAD = {
    "only-a-bomb.zip": (archives, "nothing_accepted"),
    "too-many-entries.zip": (archives, "archive_too_many"),
    "laughs.docx": (word_documents, "file_has_entities"),
    "no-text.pdf": (pdfs, "nothing_accepted"),
    "deep-list.json": (texts, "json_list_without_objects"),
    "random.bin": (texts, "source_not_text"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_the_command(greenwave: Greenwave, tmp_path: Path, name: str) -> None:
    """Exit code 3, one sentence and one hint, no traceback, and no dataset."""
    family, code = BAD[name]
    source = tmp_path / name
    source.write_bytes(next(case.data for case in family() if case.name == name))
    refused = greenwave("datasets", "import", source, "--name", "bad", "--json")
    assert (refused.status, refused.error["code"]) == (3, code), refused.err
    assert refused.error["hint"] and "Traceback" not in refused.err
    assert greenwave("datasets", "list", "--json").json == []

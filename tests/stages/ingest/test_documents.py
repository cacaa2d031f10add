"""Documents: text, Markdown, HTML, DOCX and PDF become rows of running text that name their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.stages.ingest.hostile import parquet
from tests.stages.ingest.office import pdf, word_document, word_paragraph, word_table, workbook, zipped

Import = Callable[..., Any]
TEXT = "早高峰时段，路口的排队较长，应当延长绿灯。"


def places(imported: Any) -> list[tuple[str, str]]:
    """Source without the file's name, and text, of every row."""
    return [(row["source"].partition(":")[2], row["text"]) for row in imported.rows]


def test_sections_of_a_word_document(import_bytes: Import) -> None:
    """A heading begins a new document; rows of tables keep their cells; what was struck out is left out, what is repeated is said once."""
    struck = "<w:p><w:r><w:t>留</w:t></w:r><w:del><w:r><w:delText>删</w:delText></w:r></w:del><w:ins><w:r><w:t>增</w:t></w:r></w:ins></w:p>"
    twice = "<w:p><mc:AlternateContent xmlns:mc='x'><mc:Choice><w:r><w:t>框</w:t></w:r></mc:Choice><mc:Fallback><w:r><w:t>框</w:t></w:r>"
    imported = import_bytes(
        word_document(
            word_paragraph("第一章 总则", "1"),
            word_paragraph(TEXT),
            word_table([["区域", "路口"], ["东城", "甲路"], ["^", "乙路"]]),
            word_paragraph("第二章 处罚", "1"),
            struck,
            twice + "</mc:Fallback></mc:AlternateContent></w:p>",
        ),
        name="规程.docx",
    )
    assert places(imported) == [
        ("¶1", f"第一章 总则\n{TEXT}\n区域 | 路口\n东城 | 甲路\n东城 | 乙路"),
        ("¶6", "第二章 处罚\n留增\n框"),
    ]
    assert (imported.facts["kind"], imported.facts["format"], imported.facts["encoding"]) == ("documents", "docx", "")


def test_pages_of_a_pdf(import_bytes: Import) -> None:
    """Chinese in a font that is not embedded is read; broken lines are joined; a page without text is listed."""
    long = "机动车行经人行横道时应当减速行驶遇行人正在通过人行横道应当停车让行机动车行经没有交通信号的道路"
    imported = import_bytes(pdf(f"{long}\n时遇行人横过道路应当避让。\n第二条另起一段。", "", "末页。"), name="法.pdf")
    assert places(imported) == [("p1", f"{long}时遇行人横过道路应当避让。\n第二条另起一段。"), ("p3", "末页。")]
    assert imported.reasons == [(2, "page_without_text")]
    assert imported.rejected[0]["source"] == "法.pdf:p2"


def test_paragraphs_of_a_page(import_bytes: Import) -> None:
    """Scripts, menus and footers of a web page are left out, its own encoding is read, and headings divide it."""
    page = f"""<!DOCTYPE html><html><head><meta charset="gb2312"><title>标题</title><style>p {{}}</style></head><body><nav>首页 新闻</nav>
    <h1>通告</h1><p>{TEXT}<br>第二行 &amp; &lt;标记&gt;</p><script>var x = "<p>不</p>";</script><h2>附表</h2>
    <table><tr><th>路口</th><th>周期</th></tr><tr><td>甲</td><td>90</td></tr></table><footer>版权</footer></body></html>"""
    imported = import_bytes(page.encode("gb18030"), name="通告.html")
    assert places(imported) == [("¶1", f"通告\n{TEXT}\n第二行 & <标记>"), ("¶3", "附表\n路口 | 周期\n甲 | 90")]
    assert imported.facts["encoding"] == "gb18030"


UNTIDY = {
    "head not closed": f"<html><head><meta charset=utf-8><title>x</title><p>{TEXT}",
    "all in a form": f"<html><body><form action=x><div>{TEXT}</div></form></body></html>",
    "menu not closed": f"<html><body><nav><a>首页</a><div>{TEXT}</div></body></html>",
    "nothing closed": f"<!doctype html><div><p>{TEXT}",
}


@pytest.mark.parametrize("kind", UNTIDY)
def test_untidy_pages(import_bytes: Import, kind: str) -> None:
    """The text of a page whose elements are not closed, or that is one form, is not lost."""
    (text,) = [text for _, text in places(import_bytes(UNTIDY[kind].encode(), name="a.html"))]
    assert text.endswith(TEXT)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_lines_of_a_text(import_bytes: Import, codec: str) -> None:
    """A text of any encoding is kept as it is, blank lines too, and divided where there is enough for one document."""
    text = f"{TEXT}\r\n\r\n{TEXT}\n".encode(codec)
    assert places(import_bytes(text, name="a.txt")) == [("1", f"{TEXT}\n\n{TEXT}")]
    imported = import_bytes(f"{TEXT * 50}\n".encode(codec) * 12, name="b.txt")
    assert [place for place, _ in places(imported)] == ["1", "4", "7", "10"]


def test_sections_of_markdown(import_bytes: Import) -> None:
    """Headings of Markdown divide it, a heading below a heading does not, and a link at the beginning is no JSON."""
    data = f"[链接](x) {TEXT}\n# 一\n## 甲\n{TEXT}\n## 乙\n{TEXT}\n".encode()
    assert [place for place, _ in places(import_bytes(data, name="a.md"))] == ["1", "2", "5"]


def test_damaged_lines_of_a_text(import_bytes: Import) -> None:
    """A line of another encoding and one with NUL bytes are listed, and nothing is replaced in the others."""
    data = f"{TEXT}\n".encode() * 3 + "绿灯亮\n".encode("gb18030") + b"a\0b\n" + TEXT.encode()
    imported = import_bytes(data, name="a.txt")
    assert imported.reasons == [(4, "row_encoding_broken"), (5, "row_control_bytes")]
    assert places(imported) == [("1", "\n".join([TEXT] * 4))]


def test_prose_with_commas_is_no_table(import_bytes: Import) -> None:
    """Sentences with commas stay sentences; a text whose lines all have the same columns is a table."""
    assert import_bytes(b"Cars stop, people walk.\nThen, cars go, and on.\nNobody.\n", name="a.txt").facts["format"] == "text"
    assert import_bytes("问题,回答\n甲,乙\n".encode(), name="b.txt").facts["format"] == "csv"


def test_rows_of_texts(import_bytes: Import) -> None:
    """A column of texts makes documents, in JSON, tables and Parquet; a question beside it makes conversations."""
    assert places(import_bytes('{"text": "甲"}\n{"text": " "}\n'.encode())) == [("1", "甲")]
    imported = import_bytes("日期,正文\n1月,甲文\n2月,\n".encode(), name="a.csv")
    assert places(imported) == [("2", "甲文")]
    assert imported.reasons == [(3, "row_without_text")]
    assert imported.facts["columns"] == {"text": "正文"}
    assert import_bytes("标题,内容\n甲,乙\n".encode(), name="b.csv").turns == [[("user", "甲"), ("assistant", "乙")]]
    assert places(import_bytes("标题,内容\n甲,乙\n".encode(), name="c.csv", columns={"text": "内容"})) == [("2", "乙")]
    assert places(import_bytes(parquet([{"text": "甲"}, {"text": "乙"}]), name="d.parquet")) == [("1", "甲"), ("2", "乙")]


def test_rows_of_parquet(import_bytes: Import) -> None:
    """Every form of JSON rows may lie in a Parquet file; the place is the row's number."""
    imported = import_bytes(parquet([{"问题": "甲", "回答": "乙"}, {"问题": "", "回答": "丁"}]), name="a.parquet")
    assert imported.turns == [[("user", "甲"), ("assistant", "乙")]]
    assert (imported.rows[0]["source"], imported.reasons) == ("a.parquet:1", [(2, "row_without_question")])
    assert imported.facts["format"] == "alpaca"


def test_files_of_an_archive(import_bytes: Import) -> None:
    """Each file is read by its own importer; Windows names are read as GBK; what cannot be read is listed with its reason."""
    entries = {
        "RECORD12.csv": "问题,回答\n甲,乙\n".encode("gb18030"),
        "表.xlsx": workbook(("一", [["问题", "回答"], ["丙", "丁"]])),
        "bad.csv": b"a,b\n1,2\n",
        "说明.docx": word_document(word_paragraph("说明。")),
        "__MACOSX/._x": b"x",
        "inner.zip": zipped({"a.txt": b"x"}),
    }
    # The library marks every name that is not ASCII as UTF-8; Windows writes eight bytes of GBK without a mark.
    data = zipped(entries).replace(b"RECORD12", "接警记录".encode("gbk"))
    imported = import_bytes(data, name="a.zip")
    assert imported.turns == [[("user", "甲"), ("assistant", "乙")], [("user", "丙"), ("assistant", "丁")]]
    assert [row["source"] for row in imported.rows] == ["a.zip/接警记录.csv:2", "a.zip/表.xlsx:一:2"]
    reasons = {row["source"]: row["reason"] for row in imported.rejected}
    assert reasons == {
        "a.zip/bad.csv": "columns_unrecognised",
        "a.zip/说明.docx": "entry_of_other_kind",
        "a.zip/__MACOSX/._x": "entry_of_system",
        "a.zip/inner.zip": "entry_packed",
    }
    assert (imported.facts["format"], imported.facts["entries"]) == ("zip", {"csv": 1, "spreadsheet": 1})

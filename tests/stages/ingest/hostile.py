"""Files that were made to harm, or that a failing disk made: the same ones for the same seed, none of them stored.

``crafted`` are attacks by hand, one per idea; ``mutated`` are good files of every kind with bytes flipped, cut out, doubled or cut off.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.stages.ingest.office import (
    WORD,
    pdf,
    sheet_xml,
    word_document,
    word_entries,
    word_paragraph,
    word_table,
    workbook,
    workbook_entries,
    zipped,
)

SEED = 20260101
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;aGFybQ==\x07[/red][bold]<script>alert(1)</script>\u202e"
GOOD_ROW = {"instruction": "红灯多久？", "output": "六十秒。"}


class Case(NamedTuple):
    """One file."""

    name: str
    """What is wrong with it, and the file's name."""
    data: bytes


def crafted() -> Iterator[Case]:
    """Attacks by hand."""
    for attacks in (archives, workbooks, word_documents, pdfs, texts, pages):
        yield from attacks()


def mutated(count: int, seed: int = SEED) -> Iterator[Case]:
    """``count`` damaged files, all kinds in turn."""
    chance = random.Random(seed)
    good = good_files()
    for number in range(count):
        name = list(good)[number % len(good)]
        data = bytearray(good[name])
        for _ in range(chance.randint(1, 8)):
            at, length = chance.randrange(len(data)), chance.randint(1, max(1, len(data) // 10))
            kind = chance.randrange(5)
            if kind == 0:
                data[at] ^= 1 << chance.randrange(8)
            elif kind == 1 and len(data) > 64:
                del data[at : at + length]
            elif kind == 2:
                data[at:at] = data[at : at + length]
            elif kind == 3:
                data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", struct.pack("<I", chance.randrange(1 << 32))])
            elif len(data) > 64:
                del data[max(32, at) :]
        yield Case(f"damaged-{number}-{name}", bytes(data))


def good_files() -> dict[str, bytes]:
    """A good file of every kind by its name."""
    rows = [{"instruction": f"问题{number}？", "output": f"第{number}个回答。"} for number in range(30)]
    table = [["问题", "回答"], *([row["instruction"], row["output"]] for row in rows)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    paragraphs = [word_paragraph(f"第{number}段，路口早高峰排队较长。") for number in range(30)]
    return {
        "rows.jsonl": lines.encode(),
        "rows.json": json.dumps(rows, ensure_ascii=False).encode("gb18030"),
        "rows.csv": "\n".join(",".join(row) for row in table).encode("gb18030"),
        "rows.tsv": "\n".join("\t".join(row) for row in table).encode("utf-16"),
        "rows.xlsx": workbook(("接警", table), ("二", table)),
        "report.docx": word_document(*paragraphs, word_table([["甲", "乙"], ["1", "^"]])),
        "report.pdf": pdf("第一页。\n第二行。", "第二页。", "第三页。"),
        "page.html": f"<html><body><h1>题</h1>{'<p>一段文字。</p>' * 30}</body></html>".encode(),
        "text.txt": ("第一段文字，早高峰。\n\n" * 30).encode(),
        "all.zip": zipped({"甲.jsonl": lines.encode(), "乙.csv": "问题,回答\n问,答\n".encode("gb18030"), "丙.txt": "文字。".encode()}),
        "rows.parquet": parquet(rows),
    }


def parquet(rows: list[dict[str, str]]) -> bytes:
    """A Parquet file of texts."""
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    buffer = io.BytesIO()
    columns: dict[str, Any] = {name: Array([row[name] for row in rows], DataType.string()) for name in rows[0]}
    write_parquet(Table.from_pydict(columns), buffer)
    return buffer.getvalue()


def archives() -> Iterator[Case]:
    """Zip files."""
    good = json.dumps(GOOD_ROW, ensure_ascii=False).encode() + b"\n"
    yield Case("bomb-by-ratio.zip", zipped({"good.jsonl": good, "zeros.txt": b"\0" * (24 << 20)}))
    yield Case("only-a-bomb.zip", zipped({"spaces.txt": b" " * (24 << 20)}))
    yield Case("too-many-entries.zip", zipped({f"{number}.txt": b"" for number in range(10_001)}))
    inner = zipped({"a.jsonl": good})
    for _ in range(6):
        inner = zipped({"inside.zip": inner, "inside.dat": inner})
    yield Case("nested.zip", inner)
    for name in ("../../../../etc/passwd", "/etc/cron.d/x", "C:\\windows\\x.txt", "..\\..\\x.txt", ESCAPES + ".jsonl", "a/\0/b.jsonl", "."):
        yield Case("name-leads-out.zip", zipped({name: good}))
        yield Case("name-leads-out-beside-good.zip", zipped({name: good, "good.jsonl": good}))
    link = zipfile.ZipInfo("link.jsonl")
    link.external_attr = 0o120777 << 16
    for entries in ([(link, b"/etc/passwd")], [(link, b"/etc/passwd"), (zipfile.ZipInfo("good.jsonl"), good)]):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for entry, data in entries:
                archive.writestr(entry, data)
        yield Case("link.zip", buffer.getvalue())
    stored = zipped({"a.jsonl": good * 100})
    yield Case("encrypted.zip", _patched(_patched(stored, b"PK\x03\x04", 6, b"\x01\x00"), b"PK\x01\x02", 8, b"\x01\x00"))
    for size in (0, 10, 0x7FFFFFFF, 0xFFFFFFFE):
        yield Case(f"size-lies-{size}.zip", _patched(stored, b"PK\x01\x02", 24, struct.pack("<I", size)))
        yield Case(f"packed-size-lies-{size}.zip", _patched(stored, b"PK\x01\x02", 20, struct.pack("<I", size)))
    yield Case("wrong-checksum.zip", _patched(stored, b"PK\x01\x02", 16, b"abcd"))
    yield Case("unknown-packing.zip", _patched(stored, b"PK\x01\x02", 10, b"\x63\x00"))
    yield Case("overlapping.zip", _overlapping(good))
    yield Case("empty.zip", zipped({}))
    yield Case("folders-alone.zip", zipped({"a/": b"", "b/": b""}))
    yield Case("same-name-twice.zip", zipped({"a.jsonl": good}) + zipped({"a.jsonl": good}))
    yield Case("two-kinds.zip", zipped({"a.jsonl": good, "b.docx": word_document(word_paragraph("文"))}))
    yield Case(
        "foreign.zip",
        zipped({"a.exe": b"MZ\x90\0" + b"\0" * 99, "b.png": b"\x89PNG\r\n\x1a\n", "c.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 99}),
    )


def workbooks() -> Iterator[Case]:
    """Spreadsheets."""
    rows = [["问题", "回答"], ["问", "答"]]
    sheet = sheet_xml(rows)

    def book(name: str, xml: str) -> Case:
        return Case(name, zipped(workbook_entries({"表": xml})))

    yield book("far-cell.xlsx", sheet.replace("</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'))
    yield book("impossible-cell.xlsx", sheet.replace("</sheetData>", '<row r="9"><c r="ZZZZZZZ99999999999"><v>1</v></c></row></sheetData>'))
    yield book("whole-sheet-merged.xlsx", sheet_xml(rows, ["A1:XFD1048576"]))
    yield book("merged-backwards.xlsx", sheet_xml(rows, ["B2:A1", "A0:A0", "QQ"]))
    yield book("many-merged.xlsx", sheet_xml(rows, ["A1:B1000"] * 2000))
    yield book("bomb.xlsx", sheet.replace("<sheetData>", "<sheetData>" + " " * (48 << 20)))
    yield book("entities.xlsx", f"<!DOCTYPE x [{_laughs()}]>{sheet.replace('问</t>', '&l9;</t>')}")
    yield book("not-closed.xlsx", sheet[: len(sheet) // 2])
    yield book("deep.xlsx", sheet.replace("<sheetData>", "<x>" * 100_000))
    yield book("bad-index.xlsx", sheet.replace("</sheetData>", '<row r="3"><c r="A3" t="s"><v>99999999</v></c></row></sheetData>'))
    yield book("huge-number.xlsx", sheet.replace("</sheetData>", f'<row r="3"><c r="A3"><v>{"9" * 100_000}</v></c></row></sheetData>'))
    yield Case("formulas.xlsx", workbook(("表", [["问题", "回答"], ["=cmd|' /C calc'!A0", "@SUM(1)"], ['=HYPERLINK("http://x")', "-1+1"]])))
    yield Case(
        "escapes.xlsx",
        workbook((ESCAPES.replace("\x1b", "").replace("\x07", "").replace("/", ""), [["问题", "回答"], [ESCAPES[-30:], "答"]])),
    )
    yield Case("many-columns.xlsx", workbook(("表", [[f"列{number}" for number in range(26)], ["x"] * 26])))
    yield Case("empty-sheets.xlsx", workbook(*((str(number), []) for number in range(300))))
    yield Case("long-cell.xlsx", workbook(("表", [["问题", "回答"], ["长" * 2_000_000, "答"], ["问", "答"]])))
    yield Case("no-sheets.xlsx", zipped(workbook_entries({})))
    entries = workbook_entries({"表": sheet})
    for missing in entries:
        yield Case(f"without-{missing.replace('/', '-')}.xlsx", zipped({name: xml for name, xml in entries.items() if name != missing}))


def word_documents() -> Iterator[Case]:
    """DOCX files."""

    def document(name: str, body: str, before: str = "") -> Case:
        entries = word_entries(body)
        return Case(name, zipped({**entries, "word/document.xml": before + entries["word/document.xml"]}))

    yield document("laughs.docx", "<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>", f"<!DOCTYPE x [{_laughs()}]>")
    yield document("outside.docx", "<w:p><w:r><w:t>&x;</w:t></w:r></w:p>", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>')
    yield document("remote-dtd.docx", word_paragraph("文"), '<!DOCTYPE x SYSTEM "http://example.com/x.dtd">')
    yield document("deep.docx", "<w:p>" * 100_000)
    yield document("deep-tables.docx", "<w:tbl><w:tr><w:tc>" * 60 + word_paragraph("底") + "</w:tc></w:tr></w:tbl>" * 60)
    yield document("bomb.docx", word_paragraph(" " * (48 << 20)))
    yield document("long-paragraph.docx", word_paragraph("".join(chr(0x4E00 + number % 20000) for number in range(1_200_000))))
    yield document("wide-span.docx", '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="99999999999"/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>')
    yield document("strange-span.docx", '<w:tbl><w:tr><w:tc><w:gridSpan w:val="-五"/><w:outlineLvl w:val="x"/><w:p/></w:tc></w:tr></w:tbl>')
    yield document("nothing.docx", "")
    yield document("not-closed.docx", "<w:p><w:r><w:t>文")
    yield document("escapes.docx", word_paragraph(ESCAPES.replace("\x1b", "").replace("\x07", "")))
    yield Case("binary.docx", zipped({"word/document.xml": random.Random(SEED).randbytes(10_000)}))
    yield Case("utf-7.docx", zipped({"word/document.xml": '<?xml version="1.0" encoding="UTF-7"?><x/>'}))
    yield Case("styles.docx", zipped({**word_entries(word_paragraph("文")), "word/styles.xml": f"<!DOCTYPE x [{_laughs()}]><x>&l9;</x>"}))
    attributes = " ".join(f"a{number}='x'" for number in range(50_000))
    yield Case("attributes.docx", zipped({"word/document.xml": f"<w:x xmlns:w='{WORD}' {attributes}/>"}))


def pdfs() -> Iterator[Case]:
    """PDF files."""
    good = pdf("第一页。", "第二页。")
    yield Case("pages-in-a-circle.pdf", good.replace(b"/Kids[4 0 R 6 0 R]", b"/Kids[2 0 R 2 0 R]"))
    yield Case("endless-count.pdf", good.replace(b"/Count 2", b"/Count 2000000000"))
    yield Case("negative-count.pdf", good.replace(b"/Count 2", b"/Count -2"))
    yield Case("page-is-its-parent.pdf", good.replace(b"/Parent 2 0 R", b"/Parent 4 0 R"))
    yield Case("content-is-page.pdf", good.replace(b"/Contents 5 0 R", b"/Contents 4 0 R"))
    yield Case("previous-in-a-circle.pdf", good.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Prev 9>>"))
    yield Case("no-end.pdf", good[: len(good) // 2])
    yield Case("no-table.pdf", good[: good.index(b"xref")])
    yield Case("long-stream.pdf", good.replace(b"/Length ", b"/Length 99999999"))
    yield Case("deep-arrays.pdf", good.replace(b"/MediaBox[0 0 595 842]", b"/MediaBox" + b"[" * 50_000 + b"]" * 50_000, 1))
    yield Case("huge-page.pdf", good.replace(b"[0 0 595 842]", b"[0 0 9e30 9e30]"))
    yield Case("head-alone.pdf", b"%PDF-1.7\n")
    yield Case("no-text.pdf", pdf("", ""))
    yield Case(
        "encrypted.pdf", good.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(y)/P -1>>/ID[(a)(b)]>>")
    )
    yield Case("many-pages.pdf", pdf(*["页。"] * 400))
    yield Case("letters-without-meaning.pdf", pdf("\ue000\ue001\ue002" * 20))


def texts() -> Iterator[Case]:
    """Text, and files that are of no kind at all."""
    good = json.dumps(GOOD_ROW, ensure_ascii=False)
    yield Case("one-long-line.jsonl", b'{"instruction": "' + b"x" * (16 << 20))
    yield Case("one-long-line.csv", "问题,回答\n".encode() + b"x" * (16 << 20))
    yield Case("one-long-line.txt", b"x" * (16 << 20))
    yield Case("deep.jsonl", good.encode() + b"\n" + b"[" * 200_000 + b"\n" + b'{"a":' * 100_000 + b"\n")
    yield Case("deep-list.json", b"[" * 500_000)
    yield Case("nul.jsonl", good.encode() + b"\n\0\0\0\n" + good.encode())
    yield Case("nul.csv", "问题,回答\n问\0,答\n问,答\n".encode())
    yield Case("nul.txt", "第一行\n第\0二行\n".encode())
    yield Case(
        "mixed.csv",
        b"question,answer\n" + b"".join(f"路口{n},交通{n}\n".encode(("utf-8", "gb18030", "big5")[n % 3]) for n in range(60)),
    )
    yield Case("mixed.jsonl", b"".join((good + "\n").encode(("utf-8", "gb18030")[n % 4 == 0]) for n in range(60)))
    yield Case("mixed.txt", "第一行，路口早高峰排队较长。\n".encode() * 9 + "第二行，绿灯。\n".encode("gb18030"))
    yield Case("too-many-fields.csv", ("问题,回答\n问,答\n" + "x," * 100_000 + "\n").encode())
    yield Case("many-columns.csv", (",".join(f"列{n}" for n in range(20_000)) + "\n" + "x," * 19_999 + "x\n").encode())
    yield Case("never-closed.csv", ('问题,回答\n"问,答\n' * 500).encode())
    yield Case("only-quotes.csv", b'"' * 100_000)
    yield Case("only-commas.csv", b"," * 1_000_000)
    yield Case("only-newlines.csv", b"\n" * 1_000_000)
    yield Case("escapes.csv", f"问题,回答\n{ESCAPES},{ESCAPES}\n".encode())
    yield Case("escapes.jsonl", json.dumps({"instruction": ESCAPES, "output": ESCAPES}).encode())
    yield Case("escapes-as-keys.jsonl", json.dumps({ESCAPES: 1, "x": 2}).encode())
    yield Case("escapes-as-columns.csv", f"{ESCAPES},b\n1,2\n".encode())
    yield Case("escapes.txt", (ESCAPES + "\n").encode() * 3)
    yield Case("formulas.csv", "问题,回答\n=cmd|' /C calc'!A0,+1\n@SUM(A1),-1\n".encode())
    yield Case("half-characters.jsonl", b'{"instruction": "\\ud800", "output": "a"}\n' + good.encode())
    yield Case("same-key-twice.jsonl", b'{"instruction": "a", "instruction": "b", "output": "c"}\n')
    yield Case("huge-number.jsonl", b'{"instruction": "a", "output": "b", "n": ' + b"9" * 100_000 + b"}\n")
    yield Case("not-a-number.jsonl", b'{"instruction": NaN, "output": Infinity}\n')
    yield Case("odd-utf-16.txt", "文字\n".encode("utf-16-le") * 20 + b"\x00")
    yield Case("half-pairs.txt", b"\xff\xfe" + b"\x00\xd8" * 100 + "好\n".encode("utf-16-le"))
    yield Case("mark-alone.csv", b"\xff\xfe")
    yield Case("random.bin", random.Random(SEED).randbytes(100_000))
    yield Case("random.txt", random.Random(SEED + 1).randbytes(1000))
    for magic in (
        b"PAR1",
        b"PAR1" + b"\0" * 100 + b"PAR1",
        b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\x7fPAR1",
        b"\x1f\x8b" * 99,
        b"Rar!\x1a\x07",
        b"{\\rtf1 x}",
    ):
        yield Case(f"magic-{magic[:4].hex()}-{len(magic)}", magic)
    for stream in ("Workbook", "EncryptedPackage", "WordDocument"):
        yield Case(f"old-{stream}.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504 + stream.encode("utf-16-le") + b"\0" * 512)


def pages() -> Iterator[Case]:
    """Web pages."""
    yield Case("deep.html", b"<html><body>" + b"<div>" * 100_000)
    yield Case("not-closed.html", b"<html><body>" + b"<a " * 30_000)
    yield Case("comments.html", b"<html><body>" + b"<!--" * 30_000)
    yield Case("declarations.html", b"<!doctype html>" + b"<![CDATA[" * 20_000)
    yield Case("references.html", b"<html><body>" + b"&#x" * 50_000 + b"&amp" * 50_000)
    yield Case("script-not-closed.html", b"<html><script>" + b"x<" * 50_000)
    yield Case("escapes.html", f"<html><body><p>{ESCAPES}</p></body></html>".encode())
    yield Case("mixed.html", b"<html><body><p>" + "路口".encode() + b"</p><p>" + "路口".encode("gb18030") + b"</p></body></html>")
    yield Case("nothing.html", b"<html><body><script>x</script></body></html>")
    yield Case("entities.html", f"<!DOCTYPE html [{_laughs()}]><html><body><p>&l9;</p></body></html>".encode())


def _laughs() -> str:
    return '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def _patched(data: bytes, sign: bytes, offset: int, value: bytes) -> bytes:
    """The same file with bytes behind the first ``sign`` replaced."""
    at = data.index(sign) + offset
    return data[:at] + value + data[at + len(value) :]


def _overlapping(good: bytes) -> bytes:
    """An archive whose 500 entries are all the same bytes."""
    single = zipped({"aaa.jsonl": good * 1000})
    begin, end = single.index(b"PK\x01\x02"), single.index(b"PK\x05\x06")
    entries = b"".join(single[begin:end].replace(b"aaa.jsonl", b"%03d.jsonl" % number) for number in range(500))
    return single[:begin] + entries + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 500, 500, len(entries), begin, 0)

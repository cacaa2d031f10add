"""PDF files that have text, by PDFium: every page by itself. A page without text (a scan) and one whose letters have no meaning are listed.

Lines that only end because the page does are joined again; nothing else is changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pypdfium2

from appliance.stages.readers.part import BEGINNING, LONGEST, Options, Paragraph, Part, Unread, Unreadable

MOST_PAGES = 50_000
MEANINGLESS = 0.1
"""Share of characters without a meaning above which a page is not read: its fonts do not say which letters they draw."""
NEARLY_FULL = 0.8
"""Of the widest line: a shorter line was ended on purpose."""

_ENDS = tuple("。！？；：.!?;:…”』」)）")
_BEGINS = re.compile(r"\s|[（(]?[一二三四五六七八九十\d]+[、.．)）]|第[一二三四五六七八九十百\d]+[章节条款项]|[-•●·◆■]")
_WORD = re.compile(r"[A-Za-z0-9,]")


def parts(path: Path, options: Options) -> Iterator[Part]:
    """The pages in their order."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise Unreadable("file_encrypted" if "assword" in str(error) else "file_damaged") from error
    pages = min(len(document), BEGINNING if options.only_beginning else MOST_PAGES)
    for number in range(1, pages + 1):
        place = f"p{number}"
        try:
            page = document[number - 1]
            text = page.get_textpage().get_text_range()
            page.close()
        except pypdfium2.PdfiumError:
            yield Unread(place, number, "page_damaged")
            continue
        problem = _problem(text)
        yield Unread(place, number, problem, {"limit": LONGEST}) if problem else Paragraph(_joined(text), place, number, page=True)


def _problem(text: str) -> str:
    if not text.strip():
        return "page_without_text"
    if len(text) > LONGEST:
        return "row_too_large"
    meaningless = sum(char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn") or char == "\0" for char in text)
    return "page_without_meaning" if meaningless > MEANINGLESS * len(text) else ""


def _joined(text: str) -> str:
    """Lines as paragraphs."""
    # U+FFFE is how PDFium marks a hyphen at the end of a line.
    lines = [line.rstrip() for line in text.replace("\ufffe\r\n", "").replace("\ufffe", "").replace("\0", "").splitlines()]
    widest = max(map(_width, lines), default=0)
    joined: list[str] = []
    is_open = False
    for line in lines:
        if is_open and line and not _BEGINS.match(line):
            between = " " if _WORD.match(joined[-1][-1]) and _WORD.match(line[0]) else ""
            joined[-1] += between + line
        else:
            joined.append(line)
        is_open = bool(line) and _width(line) >= NEARLY_FULL * widest and not line.endswith(_ENDS)
    return "\n".join(joined).strip()


def _width(line: str) -> int:
    return sum(2 if char > "\u2e7f" else 1 for char in line)

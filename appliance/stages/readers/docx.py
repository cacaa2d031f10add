"""Word documents (DOCX): paragraphs with the level of headings, rows of tables with bars between cells, notes at the end.

Format: ECMA-376 part 1, WordprocessingML. Text that was struck out by tracking is left out, text that was inserted is read. Headers,
footers and comments are not read; automatic numbers in front of paragraphs are not part of the text.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from appliance.stages.readers import archive, xml_events
from appliance.stages.readers.part import BEGINNING, LONGEST, Options, Paragraph, Part, Unread, Unreadable

BODY = re.compile(r"word/document\d*\.xml", re.IGNORECASE)
NOTES = ("word/footnotes.xml", "word/endnotes.xml")
STYLES = "word/styles.xml"
BETWEEN_CELLS = " | "

_HEADING = re.compile(r"(?:heading|标题|標題)\s*([1-9])", re.IGNORECASE)
_LEFT_OUT = frozenset({"Fallback", "del", "moveFrom", "instrText", "delText"})
"""Elements whose text is said elsewhere once more, was struck out, or is no text."""


def parts(path: Path, options: Options) -> Iterator[Part]:
    """Body first, then notes."""
    archive.refuse_bomb(path)
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
            levels = _heading_levels(opened) if STYLES in names else {}
            number = 0
            for name in [*[found for found in names if BODY.fullmatch(found)][:1], *(found for found in NOTES if found in names)]:
                story = _Story(levels)
                with opened.open(name) as stream:
                    xml_events.parse(stream, story.start, story.end, story.text)
                for text, level in story.paragraphs:
                    number += 1
                    place = f"¶{number}"
                    if len(text) > LONGEST:
                        yield Unread(place, number, "row_too_large", {"limit": LONGEST})
                    else:
                        yield Paragraph(text, place, number, level)
                    if options.only_beginning and number == BEGINNING:
                        return
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Unreadable("file_damaged") from error


class _Story:
    """Listens to one XML part and collects its paragraphs; a row of a table becomes one."""

    def __init__(self, levels: dict[str, int]) -> None:
        self.paragraphs: list[tuple[str, int]] = []
        self._levels = levels
        self._silent = 0
        """Elements that are open and left out."""
        self._is_text = False
        self._words: list[str] = []
        self._level = 0
        self._tables: list[_Table] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name in _LEFT_OUT:
            self._silent += 1
        elif name == "t":
            self._is_text = True
        elif name in ("tab", "br", "cr", "noBreakHyphen"):
            self.add({"tab": "\t", "noBreakHyphen": "-"}.get(name, "\n"))
        elif name == "p":
            self._level = 0
        elif name == "pStyle":
            self._level = self._levels.get(attributes.get("val", ""), 0)
        elif name == "outlineLvl":
            self._level = _level(attributes.get("val", "9")) or self._level
        elif name == "tbl":
            self._tables.append(_Table())
        elif self._tables:
            self._tables[-1].start(name, attributes)

    def end(self, name: str) -> None:
        """An element ends."""
        if name in _LEFT_OUT:
            self._silent -= 1
        elif name == "t":
            self._is_text = False
        elif name == "p":
            self._end_paragraph()
        elif name == "tbl" and self._tables:
            self._tables.pop()
        elif self._tables and (line := self._tables[-1].end(name)):
            if len(self._tables) > 1:
                self._tables[-2].cell.append(line)
            else:
                self.paragraphs.append((line, 0))

    def text(self, data: str) -> None:
        """Characters."""
        if self._is_text:
            self.add(data)

    def add(self, data: str) -> None:
        """Words of the open paragraph."""
        if not self._silent:
            self._words.append(data)

    def _end_paragraph(self) -> None:
        text, self._words = "".join(self._words).strip(), []
        if text and self._tables:
            self._tables[-1].cell.append(text)
        elif text:
            self.paragraphs.append((text, self._level))


class _Table:
    """The open row of a table; a cell that is merged with the one above gets its text."""

    def __init__(self) -> None:
        self.cell: list[str] = []
        """Paragraphs of the open cell."""
        self._row: list[str] = []
        self._column = 0
        self._span = 1
        self._is_continued = False
        self._above: dict[int, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tr":
            self._row, self._column = [], 0
        elif name == "tc":
            self.cell, self._span, self._is_continued = [], 1, False
        elif name == "gridSpan":
            self._span = min(int(attributes.get("val", "1")), 1000) if attributes.get("val", "1").isdecimal() else 1
        elif name == "vMerge":
            self._is_continued = attributes.get("val", "continue") == "continue"

    def end(self, name: str) -> str:
        """The line of a row that ends, or nothing."""
        if name == "tc":
            text = self._above.get(self._column, "") if self._is_continued else "\n".join(self.cell)
            self._above[self._column] = text
            self._row.append(text.replace("\n", " "))
            self._column += self._span
            self.cell = []
        return BETWEEN_CELLS.join(self._row) if name == "tr" and any(self._row) else ""


def _heading_levels(opened: zipfile.ZipFile) -> dict[str, int]:
    """Level of every style that is a heading's, by the style's id."""
    levels: dict[str, int] = {}
    style = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal style
        if name == "style":
            style = attributes.get("styleId", "")
        elif name == "name" and style and (found := _HEADING.fullmatch(attributes.get("val", "").strip())):
            levels[style] = int(found[1])
        elif name == "outlineLvl" and style and (level := _level(attributes.get("val", "9"))):
            levels.setdefault(style, level)

    with opened.open(STYLES) as stream:
        xml_events.parse(stream, start, lambda _name: None, lambda _text: None)
    return levels


def _level(value: str) -> int:
    """Heading level from 1 of an outline level from 0; 9 is body text."""
    return int(value) + 1 if value in "012345678" and value else 0

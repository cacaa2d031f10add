"""The one sanitiser of foreign text: whatever came from outside passes here before a terminal sees it.

A terminal obeys control characters (C0, C1), and text can be turned round or hidden by format characters. What a person cannot see is shown
as a picture of itself or as a replacement mark; everything that is only written stays as it is.
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """One line of foreign text without anything that a terminal would obey; a line break, too, becomes a picture."""
    if text.isprintable():
        return text
    return "".join(character if is_harmless(character) else _picture(character) for character in text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, whose line breaks stay."""
    return "\n".join(printable(line) for line in text.replace("\r\n", "\n").split("\n"))


def escaped_json(document: str) -> str:
    """A JSON document that says the same and holds nothing that a terminal would obey: such characters can only stand inside strings."""
    return "\n".join(line if line.isprintable() else "".join(map(_json_escape, line)) for line in document.split("\n"))


def is_harmless(character: str) -> bool:
    """Whether a terminal just draws it; the wide space of Chinese text is no letter, but drawn all the same."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 32 else "\N{SYMBOL FOR DELETE}" if code == 127 else "\N{REPLACEMENT CHARACTER}"


def _json_escape(character: str) -> str:
    if is_harmless(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))

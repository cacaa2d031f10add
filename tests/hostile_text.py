"""Text that means harm to a terminal, and how to tell whether any of it got through."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCES = [
    "2J",
    "H",
    "31;1m",
    "38;5;199m",
    "?1049h",
    "?1003h",
    "?2004h",
    "6n",
    "c",
    "5i",
    "4i",
    "?25l",
    "20t",
    "8;1;1t",
    "!p",
    "r",
    "3J",
]
CSI = [f"{begin}{end}" for begin in ("\x1b[", "\x9b") for end in _SEQUENCES]
_ORDERS = [
    "0;title",
    "2;title",
    "52;c;aGk=",
    "8;;file:///etc/passwd",
    "4;1;#ff0000",
    "10;#000000",
    "777;notify;a;b",
    "1337;File=:aGk=",
    "9;x",
]
OSC = [f"{begin}{order}{end}" for begin, end in (("\x1b]", "\x07"), ("\x1b]", "\x1b\\"), ("\x9d", "\x9c")) for order in _ORDERS]
STRINGS = ["\x1bP$q q\x1b\\", "\x90+q544e\x9c", "\x1b_Gf=100;AAAA\x1b\\", "\x9fx\x9c"]
MORE_STRINGS = ["\x1b^pm\x1b\\", "\x9ex\x9c", "\x1bXsos\x1b\\", "\x98x\x9c"]
ESCAPES = ["\x1bc", "\x1b(0", "\x1b#8", "\x1b7", "\x1b8", "\x1bM", "\x1bZ", "\x1b=", "\x1b%G", "\x1bN", "\x84", "\x85", "\x8d", "\x1b"]
CONTROLS = ["a\rb", "a\bb", "a\x0bb", "a\x0cb", "a\x00b", "a\x07b", "a\x0eb\x0f", "a\x11\x13b", "a\x18\x1ab", "a\x7fb", "a\x05b"]
FORMATS = [f"a{chr(code)}b" for code in (0x202A, 0x202B, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0x200E, 0x200F, 0x061C)]
INVISIBLE = [f"a{chr(code)}b" for code in (0x200B, 0x200D, 0x2060, 0xFEFF, 0xAD, 0x2028, 0x2029, 0x180E, 0xFFF9, 0xE0041, 0xE000, 0xFFFF)]
MARKUP = [
    "[red]红[/red]",
    "[/x]",
    "[@click=app.quit]x[/]",
    "[link=file:///]x[/link]",
    "{broken",
    "%s%n",
    "{0.__class__}",
    "$(reboot)",
    "`id`",
]

HOSTILE = (*CSI, *OSC, *STRINGS, *MORE_STRINGS, *ESCAPES, *CONTROLS, *FORMATS, *INVISIBLE, *MARKUP)

_OURS = re.compile(r"\x1b\[(?:0|1|9|3[12]|0?)m|\x1b\[\?25[lh]|\x1b\[K|\r\n|\r(?=[^\n]*(?:%|\x1b\[K))")
"""What we send ourselves: bold, struck through, red, green, the end of these; and what click's progress bar does."""


def forbidden_in(shown: str, *, is_terminal: bool) -> set[str]:
    """Characters on their way to a screen that it would obey or that hide or turn text; our own colours are not counted on a terminal."""
    text = _OURS.sub("", shown) if is_terminal else shown
    return {char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}

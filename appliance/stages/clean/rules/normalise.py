"""One spelling for what looks the same: Unicode form, width, white space; nothing invisible.

Full NFKC is not used: it would turn ， into a comma, ① into 1, ㎡ into m2 and ￥ into ¥, which is damage in Chinese text. What is done:

- NFC (Unicode Standard Annex 15), which also unifies CJK compatibility ideographs;
- full-width letters, digits and technical signs (Ａ ３ ％ ＋ ／ …) become half-width; ！（），：；？～ and all CJK punctuation stay;
- Kangxi radicals and Latin ligatures, which PDF extraction leaves behind, become the ordinary characters;
- every kind of space becomes a space, every kind of line end a newline; three and more newlines become two; white space goes from the ends
  of lines (and of the text's beginning);
- control characters, terminal escape sequences, zero-width characters and marks of direction go; the joiner inside an emoji stays.
"""

from __future__ import annotations

import re
import unicodedata

from appliance.domain.conversation import Conversation, Message
from appliance.domain.recipe import CleaningRecipe
from appliance.stages.clean.rules.rule import Apply, Dropped

_KEPT_WIDE = "！（），：；？～"
_WIDE = [chr(code) for code in range(0xFF01, 0xFF5F) if chr(code) not in _KEPT_WIDE]
_LOOKALIKES = [*map(chr, range(0x2F00, 0x2FD6)), *map(chr, range(0xFB00, 0xFB07))]
_SPACES = [*map(chr, range(0x2000, 0x200B)), *"\u00a0\u1680\u202f\u205f\u3000"]
_LINE_ENDS = [*"\x0b\x0c\x85\u2028\u2029"]
_INVISIBLE = [
    *(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\n\t\r\x0b\x0c\x85"),
    *"\u00ad\u200b\u200c\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\ufffe\uffff",
    *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080))),
]

_TABLE = str.maketrans(
    {char: unicodedata.normalize("NFKC", char) for char in _WIDE + _LOOKALIKES}
    | dict.fromkeys(_SPACES, " ")
    | dict.fromkeys(_LINE_ENDS, "\n")
    | dict.fromkeys(_INVISIBLE)
)
_UNUSUAL = re.compile("[^\n\t -~\u4e00-\u9fff\u3001-\u301e！（），：；？～“”‘’—…·￥°]")
"""What the table has to be asked about. All but a few texts of a file have nothing of it, and finding that out is 20 times faster."""
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_STRAY_JOINER = re.compile("(?<![\U0001f000-\U0001faff\u2600-\u27bf\ufe0f])\u200d")
_LOOSE_ENDS = re.compile(r"[ \t]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def normalised(text: str) -> str:
    """The text in its one spelling; applied twice it gives the same again."""
    if _UNUSUAL.search(text):
        text = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = _STRAY_JOINER.sub("", text.translate(_TABLE))
        text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text:
        text = _LOOSE_ENDS.sub("", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


def make(recipe: CleaningRecipe) -> Apply | None:
    """Normalise every turn; a row with a turn of which nothing is left is dropped, an emptied system turn is left out."""
    return _apply if recipe.normalise else None


def _apply(row: Conversation, _line: int) -> Conversation | Dropped:
    contents = [normalised(message.content) for message in row.messages]
    rejected = normalised(row.rejected)
    if row.rejected and not rejected:
        return Dropped("row_nothing_visible", {"role": "rejected"})
    if rejected == row.rejected and all(content == message.content for content, message in zip(contents, row.messages, strict=True)):
        return row
    messages = []
    for content, message in zip(contents, row.messages, strict=True):
        if content:
            messages.append(Message(message.role, content))
        elif message.role != "system":
            return Dropped("row_nothing_visible", {"role": message.role})
    return Conversation(tuple(messages), row.source, rejected)

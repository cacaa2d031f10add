"""One spelling for what looks the same: Unicode form, width, white space.

Full NFKC is not used: it would turn ， into a comma, ① into 1, ㎡ into m2 and ￥ into ¥, which is damage in Chinese text. What is done:

- NFC (Unicode Standard Annex 15), which also unifies CJK compatibility ideographs;
- full-width letters, digits and technical signs (Ａ ３ ％ ＋ ／ …) become half-width; ！（），：；？～ and all CJK punctuation stay;
- Kangxi radicals and Latin ligatures, which PDF extraction leaves behind, become the ordinary characters;
- every kind of space becomes a space, every kind of line end a newline; three and more newlines become two; white space goes from the ends
  of lines (and of the text's beginning).
"""

from __future__ import annotations

import re
import unicodedata

from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped, with_texts

_KEPT_WIDE = "！（），：；？～"
_WIDE = [chr(code) for code in range(0xFF01, 0xFF5F) if chr(code) not in _KEPT_WIDE]
_LOOKALIKES = [*map(chr, range(0x2F00, 0x2FD6)), *map(chr, range(0xFB00, 0xFB07))]
_SPACES = [*map(chr, range(0x2000, 0x200B)), *"\u00a0\u1680\u202f\u205f\u3000"]
_LINE_ENDS = [*"\x0b\x0c\x85\u2028\u2029"]

_TABLE = str.maketrans(
    {char: unicodedata.normalize("NFKC", char) for char in _WIDE + _LOOKALIKES}
    | dict.fromkeys(_SPACES, " ")
    | dict.fromkeys(_LINE_ENDS, "\n")
)
UNUSUAL = re.compile("[^\n\t -~\u4e00-\u9fff\u3001-\u301e！（），：；？～“”‘’—…·￥°]")
"""What the table has to be asked about. All but a few texts of a file have nothing of it, and finding that out is 20 times faster."""
_LOOSE_ENDS = re.compile(r"[ \t]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def normalised(text: str) -> str:
    """The text in its one spelling; applied twice it gives the same again."""
    if UNUSUAL.search(text):
        text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").translate(_TABLE))
    if " \n" in text or "\t\n" in text:
        text = _LOOSE_ENDS.sub("", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


def make(spec: CleanSpec) -> Apply | None:
    """Normalise every turn; a row with a turn of which nothing is left is dropped, an emptied system turn is left out."""
    return _apply if spec.recipe.normalise else None


def _apply(row: Row) -> Row | Dropped:
    return with_texts(row, normalised, "row_nothing_visible")

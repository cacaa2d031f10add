"""Which encoding a foreign text file has.

The order that works on files of Chinese offices: byte order mark → NUL pattern of UTF-16 → strict UTF-8 → GB18030 against Big5 by the
share of frequent characters (Big5 bytes are valid GB18030 nearly always, but give rare characters). A line is the unit of the vote, so a
few damaged lines do not change the verdict; they are rejected later, one by one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError, ExitCode

SAMPLE_BYTES = 1 << 20
"""How much text that is not plain ASCII the verdict rests on."""
SHORT_TEXT = 40
"""Characters that are too few to tell sense from nonsense."""
SEARCHED_BYTES = 64 << 20
"""How far a file is searched for text that is not plain ASCII."""

ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "big5",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}
"""What ``encoding`` may be besides ``auto`` → the codec that reads it (GB18030 contains GBK and GB2312)."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_FREQUENT = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起还发成事只作当想看文无开手"
    "這來國個說們為時會過對後麼樣於還發當無開車號間問現場東動過車路口通行驶处罚分米灯信号事故报警辆交警市区处理請駛處罰燈報輛區"
)
_UNDECODABLE = 0xDC00
"""A byte that cannot be decoded becomes this surrogate plus the byte: it travels as invalid UTF-8, so that the row that holds it is
rejected by whoever reads it strictly, and never becomes a replacement character."""


def known(asked: str) -> str:
    """``asked``, if it is ``auto`` or a key of ``ENCODINGS``; raises ``encoding_unknown``."""
    if asked != "auto" and asked.lower() not in ENCODINGS:
        raise ApplianceError("encoding_unknown", ExitCode.USAGE, encoding=printable(asked, 40), known=", ".join(ENCODINGS))
    return asked


def decide(path: Path, asked: str, name: str) -> str:
    """The codec's name for a file that rows call ``name``; ``asked`` is known to exist. Raises ``source_not_text``."""
    named = ENCODINGS.get(asked.lower())
    if named and named != "utf-16":
        return named
    with path.open("rb") as file:
        first = file.read(SAMPLE_BYTES)
        marked = next((encoding for mark, encoding in _MARKS if first.startswith(mark)), None)
        if named == "utf-16":
            # Without a mark it is little-endian, which is what Windows writes.
            return marked if marked == "utf-16-be" else "utf-16-le"
        if marked:
            return marked
        return _by_nul_pattern(first) or _by_vote(first, _telling_sample(file), name)


def makes_sense(text: str) -> bool:
    """Whether the beginning of a text can be one in Chinese or in Latin letters, rather than bytes that were taken for another encoding."""
    beginning = [char for char in text[:4000] if not char.isspace()]
    familiar = sum(char < "\x7f" or char in _FREQUENT for char in beginning)
    return len(beginning) < SHORT_TEXT or familiar > len(beginning) / 20


def decoded_blocks(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The same text as UTF-8 without byte order mark; what cannot be decoded becomes invalid UTF-8."""
    if encoding == "utf-8":
        first = next(blocks, b"")
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("greenwave_mark")
    is_first = True
    for block in blocks:
        text = decoder.decode(block)
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        yield text.encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # One byte at a time, so that a newline behind a broken character stays a newline; UTF-16 must stay aligned to its units.
    end = min(error.end, len(error.object)) if error.encoding.startswith("utf") else error.start + 1
    return "".join(chr(_UNDECODABLE + byte) for byte in error.object[error.start : end]), end


codecs.register_error("greenwave_mark", _mark)


def _telling_sample(file: BinaryIO) -> bytes:
    """The first text of the file that is not plain ASCII, from the beginning of a character; empty when there is none."""
    file.seek(0)
    for _ in range(SEARCHED_BYTES // SAMPLE_BYTES):
        block = file.read(SAMPLE_BYTES)
        telling = _NOT_ASCII.search(block)
        if telling:
            return block[telling.start() :] + file.read(telling.start())
    return b""


def _by_nul_pattern(sample: bytes) -> str | None:
    """UTF-16 without a mark: ASCII characters leave a NUL on the same side of nearly every pair, and the text makes sense."""
    odd, even = sample[1::2].count(0), sample[0::2].count(0)
    if odd + even < max(1, len(sample) // 100) or min(odd, even) * 9 > max(odd, even):
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = sample.decode(encoding, "ignore")
    # A stray NUL in other text would make pairs of letters into rare characters.
    return encoding if sum(char < "\x7f" or char in _FREQUENT for char in text) > len(text) / 8 else None


def _by_vote(first: bytes, sample: bytes, name: str) -> str:
    lines = [line for line in first.split(b"\n") if line]
    telling = [line for line in sample.split(b"\n") if not line.isascii() and 0 not in line]
    votes = {encoding: _decodable(telling, encoding) for encoding in ("utf-8", "gb18030", "big5")}
    most = max(votes.values())
    unreadable = sum(0 in line for line in lines) + len(telling) - most
    if 2 * unreadable > len(lines):
        raise ApplianceError("source_not_text", name=name)
    if 2 * votes["utf-8"] >= len(telling) or most == 0:
        return "utf-8"
    near = [encoding for encoding in ("gb18030", "big5") if votes[encoding] >= 0.99 * most]
    return max(near, key=lambda encoding: _familiar(telling, encoding))


def _decodable(lines: list[bytes], encoding: str) -> int:
    """How many lines are valid; one that the sample cuts through its last character counts as well."""
    make_decoder, count = codecs.getincrementaldecoder(encoding), 0
    for line in lines:
        with suppress(UnicodeDecodeError):
            make_decoder().decode(line)
            count += 1
    return count


def _familiar(lines: list[bytes], encoding: str) -> float:
    """Share of frequent characters among all that are not ASCII."""
    text = [char for char in b"\n".join(lines).decode(encoding, "ignore") if char > "\x7f"]
    return sum(char in _FREQUENT for char in text) / max(1, len(text))

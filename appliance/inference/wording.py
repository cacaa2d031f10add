"""What of a message reaches the model: the same bytes for training tokenizer and llama.cpp, and no control over the conversation.

Two things differ or endanger otherwise. Qwen's tokenizer brings text into Unicode's form NFC and llama.cpp does not, so it is done here.
And both sides, when they tokenize a rendered chat template, take a marker such as ``<|im_end|>`` inside a message for the real one: whoever
writes it ends his turn and begins another in somebody else's role. Here a marker inside a message gets a space at each end of its name,
``<| im_end |>``: the reader sees what was written, the model reads plain text, and the ids are again the same on both sides.
"""

from __future__ import annotations

import re
import unicodedata

_MARKER = re.compile(r"<\|(\w+)\|>|<(/?s|unk|pad)>")
"""Control tokens as Qwen, Llama 3 and their relatives write them, and those of SentencePiece vocabularies."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def plain_text(text: str) -> str:
    """``text`` in NFC, halves of broken characters replaced, and chat markers made harmless."""
    whole = _SURROGATE.sub("\ufffd", text)
    return _MARKER.sub(_spaced, unicodedata.normalize("NFC", whole))


def _spaced(marker: re.Match[str]) -> str:
    return f"<| {marker[1]} |>" if marker[1] else f"< {marker[2]} >"

"""Term lists: one word of the trade per line, which shall become a token of its own."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.inference.wording import plain_text

MOST_TERMS = 20_000
"""More would make the embedding larger than what a few thousand rows can teach."""
LONGEST_TERM = 64
"""Characters; a longer line is a sentence."""


def read_terms(file: Path) -> tuple[str, ...]:
    """The terms of a file in Unicode's form NFC, each once, in its order; lines that are empty or begin with ``#`` are passed over.

    Raises ``terms_unreadable``, ``term_too_long`` or ``term_is_marker`` with the line, ``terms_too_many``, ``terms_missing``.
    """
    try:
        lines = _text(file).splitlines()
    except OSError as error:
        raise ApplianceError("terms_unreadable", path=str(file), reason=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ApplianceError("terms_unreadable", path=str(file), reason="UTF-8, GB18030") from error
    terms: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        term = unicodedata.normalize("NFC", line.strip())
        if not term or term.startswith("#"):
            continue
        if len(term) > LONGEST_TERM or not term.isprintable():
            raise ApplianceError("term_too_long", ExitCode.BAD_DATA, path=str(file), line=number, longest=LONGEST_TERM)
        if plain_text(term) != term or (term.startswith("<|") and term.endswith("|>")):
            raise ApplianceError("term_is_marker", ExitCode.BAD_DATA, path=str(file), line=number, term=term)
        terms[term] = None
    if not terms:
        raise ApplianceError("terms_missing", path=str(file))
    if len(terms) > MOST_TERMS:
        raise ApplianceError("terms_too_many", path=str(file), count=len(terms), most=MOST_TERMS)
    return tuple(terms)


def _text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")

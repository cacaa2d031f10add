"""Why a row is not accepted: a code for the texts' ``problems``, its parameters, and a safe excerpt of the row."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from appliance.domain.dataset import EXCERPT_CHARS, Rejected, printable

MAX_ROW_BYTES = 1 << 20
"""Longest row in bytes of UTF-8. A row of this size is longer than the longest one that can be trained (131,072 tokens), and with a
limit no single line can exhaust the memory."""

_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL)
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_NOT_OBJECT = re.compile(r"Expected `object`, got `(\w+)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_FIELD = re.compile(r"at `\$\.?([^`]*)`")


class Refused(Exception):
    """This row cannot be accepted."""

    def __init__(self, reason: str, **parameters: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parameters: dict[str, Any] = parameters


def refused_whole(problem: str) -> Refused:
    """The verdict on a row that could not be cut out of its file whole."""
    return Refused(problem, limit=MAX_ROW_BYTES) if problem == "row_too_large" else Refused(problem)


def refused_by_decoder(error: Exception, data: bytes) -> Refused:
    """The verdict behind an error that msgspec raised for one row's JSON."""
    if isinstance(error, msgspec.ValidationError):
        return _wrong_type(str(error))
    if isinstance(error, UnicodeDecodeError):
        return Refused("row_encoding_broken")
    if isinstance(error, RecursionError):
        return Refused("row_too_deep")
    if _LONE_SURROGATE.search(data):
        return Refused("row_half_character")
    if _CONTROL_BYTES.search(data):
        return Refused("row_control_bytes")
    place = _AT_BYTE.search(str(error))
    return Refused("row_not_json", byte=int(place[1]) + 1 if place else len(data))


def rejected(verdict: Refused, line: int, element: int, data: bytes) -> Rejected:
    """The record of a refused row."""
    # Four bytes are the longest character; a character that is cut at the end shows as an escape.
    head = data.strip()[: (EXCERPT_CHARS + 1) * 4].decode("utf-8", "backslashreplace")
    return Rejected(line=line, reason=verdict.reason, parameters=verdict.parameters, excerpt=printable(head), element=element)


def _wrong_type(message: str) -> Refused:
    """The verdict in msgspec's words: ``Expected `str`, got `int` - at `$.output```, ``Object missing required field `messages```."""
    not_object, missing, place = _NOT_OBJECT.match(message), _MISSING.search(message), _FIELD.search(message)
    if not_object:
        return Refused("row_not_object", found=not_object[1])
    path = [part for part in (place and place[1], missing and missing[1]) if part]
    return Refused("row_field_missing" if missing else "row_field_wrong", field=printable(".".join(path), 80))

"""Addresses of electronic mail, also with spaces around the sign or with its name (#, [at])."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule

_SIGN = re.compile(r"[ \t\0]?(?:@|\[at\]|\(at\)|（at）|#|艾特)[ \t\0]?", re.IGNORECASE)
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+\-\0]{0,63}\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9\-\0]{1,63}[ \t]?\.[ \t]?){1,5}[A-Za-z\0]{2,24}(?![A-Za-z0-9@])")
_LONGEST_LOCAL = 64


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """What stands around the sign, if it is an address."""
    folded = text.folded
    for start, _ in text.places("email_sign"):
        sign = _SIGN.match(folded, start - 1) or _SIGN.match(folded, start)
        if sign is None:
            continue
        local = _LOCAL.search(folded[max(0, sign.start() - _LONGEST_LOCAL) : sign.start()])
        domain = _DOMAIN.match(folded, sign.end())
        if local is None or domain is None:
            continue
        value = f"{local[0]}@{domain[0]}".replace("\0", "").replace(" ", "").lower()
        if not value.endswith(".invalid"):
            yield Find("email", sign.start() - len(local[0]), domain.end(), value, sure="@" in sign[0] or "at" in sign[0].lower())


def replace(_value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """An address in a domain that never exists (RFC 2606)."""
    return f"user{draw.digits(6)}@example.invalid"


_ANCHORS = {"email_sign": ("@", "#", "[at]", "(at)", "（at）", "[AT]", "(AT)", "艾特")}
RULE = Rule("email", find, replace, _ANCHORS, frozenset(_ANCHORS), shown=(1, 0))

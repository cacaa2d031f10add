"""Identifiers: short, sortable by time, safe in file names."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A new identifier such as ``run-6p0at93z98sqk``: seven characters of time in quarters of a second, six of chance."""
    moment = int(time.time() * 4)
    stamp = "".join(_ALPHABET[(moment >> shift) & 31] for shift in range(30, -1, -5))
    return f"{prefix}-{stamp}{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"

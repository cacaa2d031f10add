"""The key of a dataset's pseudonyms: brought in a file, or made here and kept only if that is asked."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.files.publish import published_file
from appliance.stages.redact.drawing import KEY_BYTES, LEAST_KEY_BYTES

_LONGEST_FILE = 4096


def read_key(path: Path) -> bytes:
    """The key in a file, without white space around it. Raises ``key_unreadable`` or ``key_too_short``."""
    try:
        with path.open("rb") as file:
            key = file.read(_LONGEST_FILE + 1).strip()
    except OSError as error:
        raise ApplianceError("key_unreadable", ExitCode.USAGE, path=str(path), reason=error.strerror or "") from error
    if not LEAST_KEY_BYTES <= len(key) <= _LONGEST_FILE:
        raise ApplianceError("key_too_short", ExitCode.USAGE, path=str(path), least=LEAST_KEY_BYTES, most=_LONGEST_FILE)
    return key


def new_key() -> bytes:
    """256 random bits as text, the form in which a file holds them."""
    return secrets.token_hex(KEY_BYTES).encode()


def keep_key(key: bytes, path: Path) -> None:
    """Write a key where only its owner can read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with published_file(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"\n")

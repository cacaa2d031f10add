"""Things that must not be found in the repository."""

from __future__ import annotations

import re

from tests.architecture.source import HOUSE, must_be_none, named, tracked_files

LARGEST_FILE = 9_000_000
"""Bytes: the teaching model is the largest thing that belongs here."""

OTHERWISE_ENCODED = {"docs/examples/calls.csv"}
"""Examples of files as they come from outside: GB18030."""

# Each pattern is spelled so that it does not find itself.
PLACES = re.compile(r"/(?:work|root)/[a-z]|/tmp[/]w/|/home/[a-z]|[s]hared/(?:field-notes|design|product)")
SECRETS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE[ ]KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bAKIA[0-9A-Z]{16}\b")
CONFLICTS = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)


def texts() -> dict[str, str]:
    """Content of every text file."""
    found = {}
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:8000]:
            found[named(path)] = content.decode("gb18030" if named(path) in OTHERWISE_ENCODED else "utf-8")
    return found


def test_no_machine_leaves_its_paths() -> None:
    """No file speaks of folders that only the machine has on which it was written."""
    must_be_none(name for name, content in texts().items() if PLACES.search(content))


def test_no_secrets_or_conflicts() -> None:
    """No keys, no marks of a merge that nobody finished."""
    must_be_none(name for name, content in texts().items() if SECRETS.search(content) or CONFLICTS.search(content))


def test_no_pickles_and_no_giants() -> None:
    """Weights are safetensors and small; nothing is there that would run when it is loaded."""
    pickled = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib"}
    must_be_none(named(path) for path in tracked_files() if path.suffix in pickled or path.stat().st_size > LARGEST_FILE)


def test_licence_is_there() -> None:
    """The Apache licence lies where everybody looks for it."""
    assert (HOUSE / "LICENSE").read_text("utf-8").lstrip().startswith("Apache License\n")

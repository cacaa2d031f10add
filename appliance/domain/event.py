"""What a worker says while it works: one JSON line per event, and nothing else crosses the border between processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a stage has finished writing and has renamed to its final place."""

    role: str
    """Which of the promised results this is: ``dataset``, ``train``, ``validation``, ``base``, ``adapter``, ``gguf``, ``report`` …"""
    path: str
    sha256: str
    """Of the file; of a folder, of its sorted ``sha256  name`` lines."""
    size: int
    """Bytes of all its files."""
    facts: dict[str, Any] = {}
    """Counts and measurements for the record, JSON values only."""


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A countable piece of work begins; a later ``Started`` in the same stage replaces it."""

    total: int | None
    """How many units there are, or None when nobody can know."""
    unit: str
    """``rows``, ``steps``, ``bytes``, ``questions``: a key of the texts, not a word."""
    what: str = ""
    """Which part of the stage this is (a key of the texts), for stages of several parts."""
    done: int = 0
    """Units that an earlier try has left."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How many units are done, those that an earlier try has left included."""

    done: int


class Metric(msgspec.Struct, frozen=True, tag="metric"):
    """One measured number; ``step`` is the optimizer step or 0."""

    name: str
    step: int
    value: float


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """Something a person should know; the sentence for ``code`` is in the texts."""

    level: Literal["info", "warning"]
    code: str
    parameters: dict[str, Any] = {}


class Produced(msgspec.Struct, frozen=True, tag="produced"):
    """A result is complete and in its place."""

    artifact: Artifact


class Token(msgspec.Struct, frozen=True, tag="token"):
    """A piece of generated text, whole characters only."""

    text: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The stage gave up; same code and parameters as the ``ApplianceError`` that ended it."""

    code: str
    parameters: dict[str, Any] = {}
    exit_code: int = 1


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The stage did all it was asked to do."""


Event = Started | Progress | Metric | Notice | Produced | Token | Failed | Finished

Emit = Callable[[Event], None]
"""How a stage speaks: ``emit(Progress(done=10))``."""


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event with its place in the record."""

    id: int
    """Grows with every event; readers ask for what is newer than the last they saw."""
    run_id: str
    position: int
    """Of the stage in its run."""
    at: float
    event: Event


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def to_line(event: Event) -> bytes:
    """One event as a JSON line with its newline."""
    return _encoder.encode(event) + b"\n"


def from_line(line: bytes) -> Event:
    """The event of a JSON line; raises ``msgspec.DecodeError`` for anything else."""
    return _decoder.decode(line)

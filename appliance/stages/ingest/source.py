"""The foreign file: checked before it is opened, then read once, with its checksum and the position that progress needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from io import FileIO
from pathlib import Path

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError
from appliance.files.lines import BLOCK
from appliance.stages.ingest import encoding as encodings
from appliance.stages.ingest.media import Medium, medium_of


class Source:
    """A file that somebody brought: a text in any encoding, given out as UTF-8, or a file that a reader of its medium opens itself."""

    def __init__(self, path: Path, encoding: str, on_read: Callable[[int], None], name: str = "") -> None:
        """Raise an ApplianceError for what is no readable file; ``on_read`` hears the position in bytes.

        ``name`` is what rows call the file, if that is not its own name.
        """
        self.path = path
        self.name = printable((name or path.name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
        self.size = _checked_size(path, self.name)
        self._asked_encoding = encodings.known(encoding)
        self._on_read = on_read
        self._digest = hashlib.sha256()
        self._position = 0

    @cached_property
    def medium(self) -> Medium:
        """What kind of file it is."""
        return medium_of(self.path)

    @cached_property
    def encoding(self) -> str:
        """Of a text; raises ``source_not_text`` for what is none."""
        return encodings.decide(self.path, self._asked_encoding, self.name)

    @property
    def is_prose_by_name(self) -> bool:
        """Whether the name is that of a plain text. Content decides first; this only tells prose with commas from a table."""
        return Path(self.name).suffix.lower() in ("", ".txt", ".text", ".md", ".markdown")

    @property
    def sha256(self) -> str:
        """Of the file's bytes, once ``blocks`` or ``pass_over`` has come to its end."""
        return self._digest.hexdigest()

    def peek(self) -> Iterator[bytes]:
        """The text from its beginning, for a look that leaves no trace in progress and checksum."""
        return encodings.decoded_blocks(self._raw_blocks(lambda _: None), self.encoding)

    def blocks(self) -> Iterator[bytes]:
        """The text as UTF-8; to be read once and to the end."""
        return encodings.decoded_blocks(self._raw_blocks(self._note), self.encoding)

    def pass_over(self) -> None:
        """Take the checksum of a file that a reader opens itself; with progress, since a medium can be slow."""
        for _ in self._raw_blocks(self._note):
            pass

    def first_words(self) -> str:
        """The beginning of the text, safe to show: whoever knows the file sees whether the encoding was decided well."""
        lines = next(self.peek(), b"")[:1000].decode("utf-8", "ignore").splitlines()
        return printable(" ⏎ ".join(lines), 80)

    def _raw_blocks(self, note: Callable[[bytes], None]) -> Iterator[bytes]:
        with self.path.open("rb", buffering=0) as file:
            while block := self._read(file):
                note(block)
                yield block

    def _read(self, file: FileIO) -> bytes:
        try:
            return file.read(BLOCK) or b""
        except OSError as error:
            # The medium was pulled out, or is damaged.
            raise ApplianceError("source_unreadable", name=self.name) from error

    def _note(self, block: bytes) -> None:
        self._digest.update(block)
        self._position += len(block)
        self._on_read(self._position)


def _checked_size(path: Path, name: str) -> int:
    if path.is_dir():
        raise ApplianceError("source_is_folder", path=str(path))
    if not path.exists():
        raise ApplianceError("source_missing", path=str(path), reason="")
    if not path.is_file():
        # A pipe or a device has no end that could be waited for.
        raise ApplianceError("source_unreadable", name=name)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise ApplianceError("source_unreadable", name=name) from error
    size = path.stat().st_size
    if not head.strip(b"\xef\xbb\xbf \t\r\n") and size <= len(head):
        raise ApplianceError("source_empty", name=name)
    return size

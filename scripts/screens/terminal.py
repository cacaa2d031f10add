"""A real terminal: a pseudo-terminal whose every byte is kept."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class Terminal:
    """``greenwave``, or another ``command``, in a pseudo-terminal of its own."""

    def __init__(
        self,
        home: Path,
        size: tuple[int, int] = (120, 40),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "appliance.entry"),
    ) -> None:
        self._command = list(command)
        self.written = bytearray()
        """Everything that the program has sent to the terminal."""
        self._size = size
        self._environment = {
            **os.environ, "TERM": "xterm-256color", "GREENWAVE_HOME": str(home), "GREENWAVE_LANG": "zh", "LANG": "C.UTF-8",
            "COLORTERM": "truecolor", **(environment or {}),
        }  # fmt: skip
        self.pid = 0
        self._descriptor = -1

    def __enter__(self) -> Self:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(self._command[0], self._command, self._environment)  # noqa: S606  # nothing of it is foreign
        columns, lines = self._size
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._descriptor)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:
                return
            if not data:
                return
            self.written += data

    def press(self, keys: bytes) -> None:
        """Send keys as a terminal does."""
        os.write(self._descriptor, keys)

    def wait_for(self, text: str, seconds: float = 60.0, since: int = 0) -> int:
        """Wait until a text was written after byte ``since``; how much was written then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if text.encode() in self.written[since:]:
                return len(self.written)
            time.sleep(0.005)
        raise AssertionError(f"{text!r} was never written: {bytes(self.written[-3000:])!r}")

    def settle(self, quiet: float = 0.6, seconds: float = 20.0) -> None:
        """Wait until nothing has been written for a while."""
        until, length, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < until:
            if len(self.written) != length:
                length, since = len(self.written), time.monotonic()
            elif time.monotonic() - since > quiet:
                return
            time.sleep(0.05)

    def is_alive(self) -> bool:
        """Whether the program still runs."""
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

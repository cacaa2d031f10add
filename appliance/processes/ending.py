"""How a child process ended, as a type: built from its exit status, the signal, the kernel's count of kills and the end of its log.

A cause is looked for in this order: an exit status of 0 is done, whatever the log says; words of an allocator at the end of the log
are memory; SIGKILL while the kernel counted a kill for want of memory is memory, too; then the signal; then the exit status.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from typing import Any, Literal

from appliance.domain.errors import ApplianceError, ExitCode

EndingKind = Literal["done", "failed", "out_of_memory_host", "out_of_memory_gpu", "killed", "crashed", "terminated"]

TAIL_LINES = 20
_TAIL_BYTES = 8192

_ORDERS_TO_LEAVE = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP},
)

# What torch, cuBLAS and ggml write when a GPU has no room left.
_GPU_MEMORY_WORDS = re.compile(
    r"CUDA out of memory|OutOfMemoryError|cudaMalloc failed|cudaErrorMemoryAllocation|CUDA error: out of memory"
    r"|CUBLAS_STATUS_ALLOC_FAILED|ErrorOutOfDeviceMemory",
)
# What Python, the C++ library, the C library's strerror, torch and ggml write when the host has none.
_HOST_MEMORY_WORDS = re.compile(
    r"\bMemoryError\b|std::bad_alloc|Cannot allocate memory|can't allocate memory|not enough memory"
    r"|unable to allocate .*buffer|failed to allocate .*buffer",
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a child ended, what it needed, and its last words."""

    kind: EndingKind
    exit_code: int | None
    """What it returned; None when a signal ended it."""
    signal: int | None
    """The signal that ended it, or None."""
    peak_memory: int
    """Largest resident set of the child or one of the children it waited for, in bytes.

    Linux counts from the fork on, so this is never less than the spawning process had; that process should be a light one.
    """
    seconds: float
    """From spawn to end."""
    log_tail: str
    """The last lines of its log, control characters removed."""

    @classmethod
    def of(cls, status: int, rusage: struct_rusage, log_tail: str, *, seconds: float, kernel_oom_kills: int = 0) -> Ending:
        """The ending that belongs to a wait status and rusage of ``os.wait4``.

        ``log_tail`` is ``tail_of(log)``; ``kernel_oom_kills`` says how many processes the kernel killed for memory meanwhile.
        """
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        exit_code = os.WEXITSTATUS(status) if number is None else None
        return cls(
            kind=_kind(exit_code, number, log_tail, kernel_oom_kills),
            exit_code=exit_code,
            signal=number,
            peak_memory=rusage.ru_maxrss * 1024,
            seconds=seconds,
            log_tail=log_tail,
        )

    @property
    def code(self) -> str:
        """The error code for a worker that ended this way; its sentence and hint are in the texts."""
        return self.code_of("worker")

    def code_of(self, who: Literal["worker", "server"]) -> str:
        """The error code for ``who`` ended this way; a child that ran out of memory has one code, whoever it was."""
        return self.kind if self.kind.startswith("out_of_memory") else f"{who}_{self.kind}"

    @property
    def parameters(self) -> dict[str, Any]:
        """What fills the gaps of the sentence for ``code``."""
        lines = self.log_tail.splitlines()
        return {
            "signal": signal_name(self.signal) if self.signal is not None else "",
            "status": self.exit_code if self.exit_code is not None else -(self.signal or 0),
            "peak_memory": self.peak_memory,
            "last_line": lines[-1][:200] if lines else "",
        }

    def error(self, who: Literal["worker", "server"] = "worker", **parameters: Any) -> ApplianceError:
        """The error that tells a person what happened and what to do."""
        exit_code = ExitCode.NO_ROOM if self.kind.startswith("out_of_memory") else ExitCode.RUN_FAILED
        return ApplianceError(self.code_of(who), exit_code, **{**self.parameters, **parameters})


def _kind(exit_code: int | None, number: int | None, log_tail: str, kernel_oom_kills: int) -> EndingKind:
    if exit_code == 0:
        return "done"
    if number in _ORDERS_TO_LEAVE or exit_code in {128 + order for order in _ORDERS_TO_LEAVE}:
        return "terminated"
    if _GPU_MEMORY_WORDS.search(log_tail):
        return "out_of_memory_gpu"
    if _HOST_MEMORY_WORDS.search(log_tail) or (number == signal.SIGKILL and kernel_oom_kills > 0):
        return "out_of_memory_host"
    if number is None:
        return "failed"
    return "crashed" if number in _CRASHES else "killed"


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; real-time signals, which have no names, as ``signal 40``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def tail_of(log: Path, start: int = 0) -> str:
    """The last lines that were written to ``log`` after byte ``start``; at most 20 lines and 8 KiB are read.

    A log that is shorter by now was cut since (see ``logs.py``), and its end is as good an answer as there is.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [_CONTROLS.sub("", line).rstrip() for line in text.splitlines()]
    return "\n".join([line for line in lines if line][-TAIL_LINES:])


def kernel_oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started, in any control group; 0 where it does not say."""
    try:
        counters = Path("/proc/vmstat").read_text("ascii")
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", counters, re.MULTILINE)
    return int(found[1]) if found else 0

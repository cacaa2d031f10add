"""What the signs at the end of a process are taken for."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from appliance.domain.errors import ExitCode
from appliance.processes.ending import Ending, EndingKind, kernel_oom_kills, signal_name, tail_of
from appliance.texts.speech import LANGUAGES, explain

USAGE = resource.getrusage(resource.RUSAGE_SELF)


def ending(status: int, log_tail: str = "", kills: int = 0) -> Ending:
    """An ending from a raw wait status."""
    return Ending.of(status, USAGE, log_tail, seconds=1.0, kernel_oom_kills=kills)


@pytest.mark.parametrize(
    ("status", "tail", "kills", "kind"),
    [
        (0, "MemoryError", 0, "done"),
        (1 << 8, "ValueError", 0, "failed"),
        (1 << 8, "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", 0, "out_of_memory_host"),
        (1 << 8, "OSError: [Errno 12] Cannot allocate memory", 0, "out_of_memory_host"),
        (1 << 8, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", 0, "out_of_memory_gpu"),
        (1 << 8, "allocating 400.00 MiB on device 0: cudaMalloc failed: out of memory", 0, "out_of_memory_gpu"),
        (int(signal.SIGABRT), "terminate called after throwing an instance of 'std::bad_alloc'", 0, "out_of_memory_host"),
        (int(signal.SIGKILL), "", 1, "out_of_memory_host"),
        (int(signal.SIGKILL), "", 0, "killed"),
        (int(signal.SIGUSR1), "", 1, "killed"),
        (40, "", 0, "killed"),
        (int(signal.SIGSEGV), "", 1, "crashed"),
        (int(signal.SIGILL) | 128, "", 0, "crashed"),
        (int(signal.SIGTERM), "CUDA out of memory", 0, "terminated"),
        (143 << 8, "", 0, "terminated"),
    ],
)
def test_kind(status: int, tail: str, kills: int, kind: EndingKind) -> None:
    """Exit status, signal, log and the kernel's count are read in the stated order."""
    assert ending(status, tail, kills).kind == kind


@pytest.mark.parametrize("status", [0, 3 << 8, *(int(number) for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM))])
@pytest.mark.parametrize("tail", ["last words", "CUDA out of memory", "MemoryError"])
def test_every_ending_has_words(status: int, tail: str) -> None:
    """Each ending of a worker becomes one sentence and one hint in each language, with no gap left open."""
    for language in LANGUAGES:
        message, hint = explain(ending(status, tail).error(), language)
        assert message and hint
        assert "{" not in message + hint and "\n" not in message + hint


def test_exit_code_of_the_error() -> None:
    """Want of memory has the exit code for no room; every other end is a failed run; parameters can be added."""
    assert ending(1 << 8, "MemoryError").error().exit_code is ExitCode.NO_ROOM
    error = ending(int(signal.SIGSEGV)).error(stage="train")
    assert (error.exit_code, error.parameters["stage"], error.parameters["status"]) == (ExitCode.RUN_FAILED, "train", -11)


def test_signal_names() -> None:
    """Signals are shown by name; a real-time signal by number."""
    assert (signal_name(9), signal_name(40)) == ("SIGKILL", "signal 40")


def test_tail_is_bounded_and_clean(tmp_path: Path) -> None:
    """A log of one endless line, half a character and terminal control is read in bounded form; a missing log is empty."""
    log = tmp_path / "log"
    log.write_bytes("字".encode() * 100_000 + b"\n\x1b]0;title\x07\rprogress 1\rprogress 2\n\n\xff\n")
    tail = tail_of(log)
    assert len(tail) < 8192
    assert tail.splitlines()[1:] == ["]0;title", "progress 1", "progress 2", "\ufffd"]
    assert tail_of(tmp_path / "none") == ""
    assert tail_of(log, start=log.stat().st_size) == ""


def test_kernel_count_can_be_read() -> None:
    """The kernel's counter is a number on this machine."""
    assert kernel_oom_kills() >= 0

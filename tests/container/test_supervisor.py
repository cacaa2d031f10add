"""The supervisor, as the parent of real processes: what it passes on, whom it waits for, what it leaves behind."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import sys
from appliance.container.supervisor import Supervisor
supervisor = Supervisor(grace=float(sys.argv[1]), say=lambda code, **told: print(code, told, flush=True))
command = sys.argv[2:]
sys.exit(supervisor.work([sys.executable, "-c", *command]) if command else supervisor.keep())
"""

ORPHAN = """
import pathlib, signal, subprocess, sys, time
place = pathlib.Path(sys.argv[1])
def saved(*_):
    time.sleep(0.5)
    place.joinpath("saved").touch()
    sys.exit()
signal.signal(signal.SIGTERM, saved)
place.joinpath("there").touch()
until = time.monotonic() + 60
while time.monotonic() < until and not place.joinpath("done").exists():
    time.sleep(0.02)
"""

LEAVES_AN_ORPHAN = f"""
import subprocess, sys
subprocess.run(["setsid", "--fork", sys.executable, "-c", {ORPHAN!r}, sys.argv[1]], check=True)
"""


@contextmanager
def supervised(*command: str, grace: float = 20.0) -> Iterator[subprocess.Popen[str]]:
    """A supervisor of ``python -c COMMAND…``; whatever is left of it at the end is killed."""
    argv = [sys.executable, "-c", PROGRAM, str(grace), *command]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as supervisor:
        try:
            yield supervisor
        finally:
            if supervisor.poll() is None:
                family = psutil.Process(supervisor.pid)
                for process in (*family.children(recursive=True), family):
                    process.kill()


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("program", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137), ("", 0)])
def test_the_status_of_the_command_is_that_of_the_container(program: str, status: int) -> None:
    """The front end's exit status comes out; a signal counts as a shell counts it."""
    with supervised(program) as supervisor:
        assert supervisor.wait(20) == status


def test_a_stop_reaches_everybody_and_waits_for_them(tmp_path: Path) -> None:
    """SIGTERM is passed to the front end and to what outlives it; both have saved when the supervisor ends with 0."""
    stays = LEAVES_AN_ORPHAN + "import time; time.sleep(60)"
    with supervised(stays, str(tmp_path)) as supervisor:
        wait_until((tmp_path / "there").exists)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 0
    assert (tmp_path / "saved").exists()


def test_work_that_outlives_the_command_is_waited_for(tmp_path: Path) -> None:
    """When the front end has ended and a run goes on, so does the container, and says so; then it ends with the front end's status."""
    with supervised(LEAVES_AN_ORPHAN + "raise SystemExit(7)", str(tmp_path)) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline().startswith("work_goes_on")
        assert supervisor.poll() is None
        (tmp_path / "done").touch()
        assert supervisor.wait(20) == 7
    assert not (tmp_path / "saved").exists()


def test_an_interrupt_stops_work_that_nobody_watches(tmp_path: Path) -> None:
    """Once the command has ended, Ctrl-C is for the supervisor: the run saves and is interrupted."""
    with supervised(LEAVES_AN_ORPHAN, str(tmp_path)) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline().startswith("work_goes_on")
        wait_until((tmp_path / "there").exists)
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(20) == 0
    assert (tmp_path / "saved").exists()


def test_who_does_not_leave_is_ended() -> None:
    """A process that ignores SIGTERM is killed when the time is up, and the status tells."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    with supervised(deaf, grace=1.0) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        (child,) = psutil.Process(supervisor.pid).children()
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 1
        wait_until(lambda: not child.is_running())


def test_orphans_are_reaped(tmp_path: Path) -> None:
    """Processes whose parents have left become the supervisor's children, and none of them stays behind as a zombie."""
    forks = "import subprocess\nfor _ in range(20): subprocess.run(['setsid', '--fork', 'true'])\nimport time; time.sleep(60)"
    with supervised(forks) as supervisor:
        family = psutil.Process(supervisor.pid)
        wait_until(lambda: bool(family.children()))
        time.sleep(1.0)
        wait_until(lambda: len(family.children()) == 1)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 0


def test_other_signals_are_the_commands_business() -> None:
    """SIGINT, SIGHUP and SIGUSR1 reach the front end, which decides what they mean."""
    counts = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda number, _: print(number, flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)  # pause() would miss a signal that came just before it
"""
    with supervised(counts) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            supervisor.send_signal(number)
            assert int(supervisor.stdout.readline()) == number
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 0


def test_a_keeper_stays_until_it_is_told() -> None:
    """Without a command it stays; SIGHUP does not end it, SIGTERM does, with 0."""
    with supervised() as supervisor:
        wait_until(lambda: signal.SIGTSTP in _blocked(supervisor.pid))  # those it waits for are unblocked meanwhile
        supervisor.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert supervisor.poll() is None
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(20) == 0


def _blocked(pid: int) -> set[int]:
    mask = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigBlk"))
    return {number for number in range(1, 65) if int(mask.split()[1], 16) >> (number - 1) & 1}


def test_the_command_has_the_terminal() -> None:
    """The front end reads the keyboard, gets Ctrl-C itself, and one that was stopped goes on, since nobody could call it back."""
    reads = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a handler would not run if it came just before input() begins to wait
print("foreground" if os.tcgetpgrp(0) == os.getpgrp() else "background", flush=True)
signal.sigwait([signal.SIGINT])
print("interrupted", flush=True)
print("read", input(), flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
print("continued", input(), flush=True)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, "20", reads])
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        assert _shown_until(screen.fileno(), b"ground\r\n").endswith(b"foreground\r\n")
        screen.write(b"\x03")
        _shown_until(screen.fileno(), b"interrupted\r\n")
        screen.write(b"one\n")
        _shown_until(screen.fileno(), b"read one\r\n")
        screen.write(b"two\n")
        _shown_until(screen.fileno(), b"continued two\r\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_stop_leaves_the_terminal_to_the_command() -> None:
    """While it leaves, the front end may still set the terminal as it was: it stays in the foreground to its end."""
    tidies = """
import signal, sys, termios, time
def leave(*_):
    termios.tcsetattr(0, termios.TCSAFLUSH, before)
    print("tidied", flush=True)
    sys.exit(0)
before = termios.tcgetattr(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGCONT, lambda *_: print("disturbed", flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)  # pause() would miss a signal that came just before it
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, "20", tidies])
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        _shown_until(screen.fileno(), b"ready\r\n")
        os.kill(pid, signal.SIGTERM)
        assert b"disturbed" not in _shown_until(screen.fileno(), b"tidied\r\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _shown_until(descriptor: int, words: bytes) -> bytes:
    shown = b""
    while words not in shown:
        shown += os.read(descriptor, 4096)
    return shown

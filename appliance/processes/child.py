"""Child processes: started so that they cannot outlive their parent unseen, watched without threads, stopped for certain.

Every child leads its own process group, so that Ctrl-C at the terminal reaches the front end alone and a stop reaches whatever the child
has started. stderr goes to a file, never to a pipe that nobody reads; stdin is empty unless asked for; no descriptor of ours is inherited.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.ending import Ending, kernel_oom_kills, tail_of

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_FIRST_LOOK, _LAST_LOOK = 0.002, 0.1
"""Seconds between two looks at a child that is waited for: short at first, longer for one that stays."""

# setpriv asks the kernel for a signal at the parent's death; by the time the shell looks, that holds, so a parent which
# died before it is noticed here by having been replaced. Both are gone from the process once the program itself runs.
_ONLY_WHILE_PARENT_LIVES = 'if [ "$PPID" = "$0" ]; then exec "$@"; fi'


class Child:
    """A running child process; made by ``spawn``."""

    def __init__(self, pid: int, stdin: IO[bytes] | None, stdout: IO[bytes] | None, log: Path, log_start: int) -> None:
        self.pid = pid
        """Also the number of its process group."""
        self.stdin = stdin
        """The writing end of its standard input, unbuffered, if that is a pipe."""
        self.stdout = stdout
        """The reading end of its standard output, unbuffered, if that is a pipe; read it with ``lines.LineReader``."""
        self.log = log
        self._log_start = log_start
        self._started = time.monotonic()
        self._kills_before = kernel_oom_kills()
        self._ending: Ending | None = None

    def poll(self) -> Ending | None:
        """How the child ended, or None while it lives."""
        if self._ending is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self._ending = self._reap()
        return self._ending

    def wait(self, timeout: float | None = None) -> Ending:
        """Wait for the end; raises TimeoutError after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while (ending := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"process {self.pid} is still running after {timeout} s")
            time.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK)
        return ending

    def terminate(self) -> None:
        """Ask the child to leave (SIGTERM) and return at once; one that still writes to a pipe must go on being read."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the child and its process group by SIGKILL; returns at once."""
        if self.poll() is None:
            self._kill_group()

    def stop(self, grace_seconds: float) -> Ending:
        """Ask the child to leave and kill its whole group if it has not left after ``grace_seconds``."""
        self.terminate()
        try:
            return self.wait(grace_seconds)
        except TimeoutError:
            self.kill()
            return self.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Kill what still runs and close the pipes."""
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                pipe.close()

    def _reap(self) -> Ending:
        # The dead child keeps its number until it is reaped, so the group that is killed here can be no other one.
        self._kill_group()
        seconds = time.monotonic() - self._started
        tail, kills = tail_of(self.log, self._log_start), kernel_oom_kills() - self._kills_before
        _, status, rusage = os.wait4(self.pid, 0)
        return Ending.of(status, rusage, tail, seconds=seconds, kernel_oom_kills=kills)

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (PermissionError, ProcessLookupError):
            # A member of the group has changed its user, which the child itself has not; or the child was killed before it had a group.
            os.kill(self.pid, signal.SIGKILL)


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    stdin: Literal["pipe", "null"] = "null",
    stdout: Literal["pipe", "log", "null"] = "log",
    cwd: Path | None = None,
    new_session: bool = False,
    die_with_parent: bool = True,
    death_signal: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program.

    ``log`` is appended to and gets stderr. ``new_session`` cuts it off from the terminal. With ``die_with_parent`` the kernel sends
    ``death_signal`` when this process dies, however it dies. ``pass_fds`` are open files that it
    keeps open as well, such as a lock. Raises FileNotFoundError if there is no such program.
    """
    if shutil.which(argv[0]) is None:
        raise FileNotFoundError(argv[0])
    command = [*_bound_to_this_process(death_signal), *argv] if die_with_parent else list(argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as log_file:
        log_start = log_file.tell()
        targets = {"pipe": subprocess.PIPE, "log": log_file.fileno(), "null": subprocess.DEVNULL}

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                bufsize=0,
                stdin=targets[stdin],
                stdout=targets[stdout],
                stderr=log_file,
                env=env,
                cwd=cwd,
                start_new_session=new_session,
                process_group=None if new_session else 0,
                pass_fds=pass_fds,
            )

        # The kernel takes the death of the *thread* that forked for the death of the parent, so that thread has to stay.
        on_main_thread = threading.current_thread() is threading.main_thread()
        process = start() if on_main_thread or not die_with_parent else _lasting_thread().submit(start).result()
    process.returncode = 0  # Popen shall neither reap nor complain: ``Child`` waits by itself, for the sake of rusage
    return Child(process.pid, process.stdin, process.stdout, log, log_start)


def _bound_to_this_process(death_signal: signal.Signals) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ApplianceError("program_missing", ExitCode.RUN_FAILED, program="setpriv", package="util-linux")
    asked = [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG")]
    return [*asked, "/bin/sh", "-c", _ONLY_WHILE_PARENT_LIVES, str(os.getpid())]


@cache
def _lasting_thread() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # 8 ms that most commands never need

    return ThreadPoolExecutor(1, thread_name_prefix="spawner")

"""Process 1 of the container: starts the command and lends it the terminal, passes signals on, reaps orphans, stops all in good order.

``python -m appliance.container.supervisor [ARGUMENT…]``. With arguments it runs ``greenwave ARGUMENT…``; without them the terminal UI
where there is a terminal, and else it keeps the appliance there for those who come in by ``docker exec``, after it has resumed what was
interrupted. Runs are led by processes that outlive whoever started them: when the command has ended and a run goes on, the container
stays until it is over. It opens no database and imports nothing heavy, so that nothing there can end it.

SIGTERM (``docker stop``) is passed on to front ends and conductors; they save, each in its way, and the supervisor ends with 0 when the
last has left. A container must be given a minute for that (``--stop-timeout 60``).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from appliance.container.beating import beat
from appliance.container.family import adopt_orphans, relatives, runs_conducted, tell
from appliance.container.reserve import look_after_reserve
from appliance.domain.home import Home
from appliance.services.resuming import resumes_at_start
from appliance.services.volume import in_container

GRACE = 52.0
"""Seconds that processes have to save and leave: a conductor gives its worker 30, and Docker gives us 60."""
PATIENCE_WITH_GUESTS = 5.0
"""Seconds for those who came in by ``docker exec``: an idle shell ignores SIGTERM, and nothing is lost with it."""
BEAT = 5.0
"""Seconds between two signs of life, see ``beating``."""

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
"""For the front end as they come. At a terminal it gets most of them from there, being in its foreground."""
_HEARD = (*PASSED_ON, signal.SIGTERM, signal.SIGCHLD)
_BLOCKED = (*_HEARD, signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP)


def hold_signals() -> None:
    """Let signals wait until they are asked for; those that process 1 has no handler for would be lost otherwise."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)


class Supervisor:
    """Looks after one front end, or none, and after every orphan."""

    def __init__(self, *, grace: float = GRACE, beat: Callable[[], None] = lambda: None, say: Callable[..., None] = lambda *_, **__: None):
        self._grace = grace
        self._beat = beat
        self._say = say
        self._next_beat = 0.0
        self._front_end = 0
        self._status = 0
        self._told_to_stop = False
        self._terminal = next((descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)), None)
        adopt_orphans()
        hold_signals()

    def work(self, command: Sequence[str]) -> int:
        """Run a front end, wait for the runs that it leaves behind, and give its exit status; 0 when told to stop."""
        self._start(command)
        while self._front_end and not self._told_to_stop:
            self._listen()
        if not self._told_to_stop and (family := [one for one in relatives() if one.is_ours]):
            self._say("work_goes_on", runs=", ".join(runs_conducted(family)) or "-")
            while not self._told_to_stop and any(one.is_ours for one in relatives()):
                self._listen()
        return self._stop() if self._told_to_stop else self._status

    def keep(self, opening: Sequence[str] = ()) -> int:
        """Run the command ``opening``, if there is one, and stay until told to stop."""
        if opening:
            self._start(opening)
        while not self._told_to_stop:
            self._listen()
        return self._stop()

    def _start(self, command: Sequence[str]) -> None:
        self._front_end = os.posix_spawn(command[0], list(command), os.environ, setpgroup=0, setsigmask=())
        self._take_terminal(self._front_end)

    def _take_terminal(self, group: int) -> None:
        """Give the foreground to a process group. Signals of the terminal's keys and size go there."""
        if self._terminal is not None:
            with suppress(OSError):  # not our terminal
                os.tcsetpgrp(self._terminal, group)

    def _listen(self, seconds: float = 1.0) -> None:
        """Wait for one signal and do what it asks for."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT
            self._beat()
        heard = signal.sigtimedwait(_HEARD, seconds)
        if heard is None:
            return
        number = signal.Signals(heard.si_signo)
        if number is signal.SIGCHLD:
            self._reap()
        elif number is signal.SIGTERM or (number is signal.SIGINT and not self._front_end):
            self._told_to_stop = True
        elif self._front_end and number in PASSED_ON:
            tell(self._front_end, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                # There is no shell to say "fg" in; one that met the terminal before it was in the foreground goes on as well.
                tell(pid, signal.SIGCONT)
            elif pid == self._front_end:
                self._front_end = 0
                self._take_terminal(os.getpgrp())
                self._status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _stop(self) -> int:
        """Ask everybody to leave, wait until they have; 0 unless somebody had to be killed."""
        begun, asked = time.monotonic(), set[tuple[int, int]]()
        self._say("stopping")
        while True:
            self._reap()
            family, waited = relatives(), time.monotonic() - begun
            left = [one for one in family if one.is_ours or waited < PATIENCE_WITH_GUESTS]
            if not left:
                return 0
            for one in family:
                if (one.pid, one.started) not in asked:  # also those who were only just orphaned
                    asked.add((one.pid, one.started))
                    tell(one.pid, signal.SIGTERM)
                if one.is_stopped:
                    tell(one.pid, signal.SIGCONT)
            if waited > self._grace:
                self._say("stopped_by_force", count=len(left))
                for one in left:
                    tell(one.pid, signal.SIGKILL)
                return 1
            self._listen(0.1)


def main(arguments: list[str]) -> int:
    """Look around, then run the command or keep the appliance there; the container's exit status."""
    hold_signals()  # before anything takes time: a stop may come at once
    from appliance.container.surroundings import claim_keeping, look_around
    from appliance.domain.errors import ApplianceError
    from appliance.running.offline import go_offline

    go_offline()
    greenwave = [sys.executable, "-P", "-m", "appliance.entry"]
    keeps = not arguments and not (os.isatty(0) and os.isatty(2))  # the entry opens the terminal UI on the same condition
    try:
        for notice in look_around(arguments, keeps=keeps):
            _narrate(notice.code, **notice.parameters)
        # Held until this process ends.
        keeping = claim_keeping(Home.from_environment().root) if keeps else None
    except ApplianceError as error:
        from appliance.cli.output import report_error

        report_error(error, as_json=any(argument in ("--json", "--jsonl") for argument in arguments))
        return int(error.exit_code)
    root = Home.from_environment().root

    def live() -> None:
        beat()
        if in_container():
            look_after_reserve(root)

    supervisor = Supervisor(beat=live, say=_narrate)
    if not keeps:
        return supervisor.work([*greenwave, *arguments])
    _narrate("keeping" if keeping else "keeping_unnoted", container=socket.gethostname())
    return supervisor.keep([*greenwave, "runs", "resume", "--interrupted"] if resumes_at_start() else ())


def _narrate(code: str, **parameters: Any) -> None:
    # Imported when there is something to tell: a start in a hurry has nothing.
    from appliance.cli.output import narrate
    from appliance.texts.speech import say

    with suppress(OSError):
        narrate(say("notices", code, **parameters))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

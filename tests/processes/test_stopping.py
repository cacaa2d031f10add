"""SIGTERM in processes of their own: heard at once, deferred, or answered by another thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from appliance.processes.stopping import STOPPED

PREAMBLE = """
import ctypes, os, signal, sys, time
from appliance.processes import stopping
from appliance.processes.stopping import Stopped, deferred, saved_in_time

def say(word):
    os.write(1, word.encode() + b"\\n")

def hear_nothing(word):
    # One call into native code, which no signal ends.
    ctypes.CDLL(None).system(f"echo {word}; exec sleep 3 >/dev/null".encode())

stopping.LEAVES_WITHIN = 0.1
stopping.install()
"""


def told_to_stop(code: str, orders: int = 1) -> tuple[list[str], int]:
    """What a process said that got SIGTERM once it was ready, and how it ended."""
    program = PREAMBLE + textwrap.dedent(code)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(orders):
            process.send_signal(signal.SIGTERM)
        said = process.stdout.read().split()
    return said, process.returncode


def test_a_main_thread_that_hears_leaves_by_itself() -> None:
    """The stage leaves by ``Stopped`` and saves by its own hand; the other thread does nothing."""
    said, status = told_to_stop(
        """
        try:
            with saved_in_time(lambda: say("other")):
                say("ready")
                time.sleep(60)
        except Stopped:
            time.sleep(0.3)
            say("own")
            sys.exit(7)
        """
    )
    assert (said, status) == (["own"], 7)


def test_a_main_thread_that_hears_nothing_is_saved_for() -> None:
    """A call into native code that does not return keeps nothing from being saved, and the process ends as one that was told to."""
    assert told_to_stop("with saved_in_time(lambda: say('saved')):\n    hear_nothing('ready')") == (["saved"], STOPPED)


def test_what_cannot_be_saved_does_not_keep_the_process() -> None:
    """An error while the other thread saves ends the process all the same."""
    assert told_to_stop("with saved_in_time(lambda: 1 / 0):\n    hear_nothing('ready')") == ([], STOPPED)


def test_nothing_is_saved_in_the_middle_of_a_change() -> None:
    """While weights and history change together the other thread waits, however long that takes."""
    said, status = told_to_stop(
        """
        with saved_in_time(lambda: say("other")):
            with deferred() as asked:
                say("ready")
                until = time.monotonic() + 0.5
                while time.monotonic() < until:
                    time.sleep(0.05)
                say("changed")
            hear_nothing("")
        """
    )
    assert (said, status) == (["changed", "other"], STOPPED)


@pytest.mark.parametrize("orders", [2, 20])
def test_a_second_order_does_not_disturb_the_leaving(orders: int) -> None:
    """A service manager and a conductor may both say so: ``Stopped`` comes once, and what is done about it is finished."""
    said, status = told_to_stop(
        """
        try:
            say("ready")
            time.sleep(60)
        except Stopped:
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                pass
            say("own")
        """,
        orders=orders,
    )
    assert (said, status) == (["own"], 0)

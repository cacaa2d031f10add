"""Children under attack: kill, crash, hang, hunger, and a parent that dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from appliance.processes.child import Child, spawn

IGNORES_TERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def start(code: str, tmp_path: Path, **options: object) -> Child:
    """A Python child that runs ``code`` without site packages."""
    return spawn([sys.executable, "-I", "-S", "-c", code], log=tmp_path / "child.log", **options)  # type: ignore[arg-type]  # passed on as given


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def soon_gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process is gone within some seconds."""
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def first_line(child: Child) -> bytes:
    """What the child said first; it has started when it has said so."""
    assert child.stdout is not None
    return child.stdout.readline()


def test_done(tmp_path: Path) -> None:
    """A child that returns 0 is done, with its time and memory."""
    ending = start("import time; time.sleep(0.1)", tmp_path).wait(10)
    assert (ending.kind, ending.exit_code, ending.signal) == ("done", 0, None)
    assert 0.1 <= ending.seconds < 5
    assert ending.peak_memory > 1 << 20


def test_failed(tmp_path: Path) -> None:
    """An exception ends as failed with its traceback's last line in the parameters."""
    ending = start("raise ValueError('no such thing')", tmp_path).wait(10)
    assert (ending.kind, ending.code, ending.exit_code) == ("failed", "worker_failed", 1)
    assert ending.parameters["last_line"] == "ValueError: no such thing"
    assert "Traceback" in ending.log_tail


def test_killed_from_outside(tmp_path: Path) -> None:
    """SIGKILL without the kernel's hunger is somebody's kill."""
    with start("import time; time.sleep(60)", tmp_path) as child:
        os.kill(child.pid, signal.SIGKILL)
        ending = child.wait(10)
    assert (ending.kind, ending.code, ending.parameters["signal"]) == ("killed", "worker_killed", "SIGKILL")


def test_native_crash(tmp_path: Path) -> None:
    """A segmentation fault is a crash that names its signal."""
    ending = spawn([sys.executable, "-c", "import ctypes; ctypes.string_at(0)"], log=tmp_path / "log").wait(20)
    assert (ending.kind, ending.code, ending.parameters["signal"]) == ("crashed", "worker_crashed", "SIGSEGV")


def test_memory_limit(tmp_path: Path) -> None:
    """A child that hits its limit of address space is out of memory on the host."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); x = bytearray(1 << 30)"
    ending = start(code, tmp_path).wait(10)
    assert (ending.kind, ending.code) == ("out_of_memory_host", "out_of_memory_host")


def test_stop_is_asked_for_first(tmp_path: Path) -> None:
    """A child that obeys SIGTERM is terminated at once and not killed."""
    with start("import time; print('ready', flush=True); time.sleep(60)", tmp_path, stdout="pipe") as child:
        first_line(child)
        ending = child.stop(10)
    assert (ending.kind, ending.signal) == ("terminated", signal.SIGTERM)
    assert ending.seconds < 5


def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is killed when its grace is over."""
    with start(IGNORES_TERM, tmp_path, stdout="pipe") as child:
        first_line(child)
        ending = child.stop(0.3)
    assert (ending.kind, ending.signal) == ("killed", signal.SIGKILL)
    assert 0.3 <= ending.seconds < 5


def test_grandchildren_end_with_their_group(tmp_path: Path) -> None:
    """Whatever a child has started in its group dies with it, even if the child itself dies by a crash."""
    code = "import os, time\npid = os.fork()\nif pid: print(pid, flush=True); os.abort()\nelse: time.sleep(60)"
    with start(code, tmp_path, stdout="pipe") as child:
        grandchild = int(first_line(child))
        assert child.wait(10).kind == "crashed"
    assert soon_gone(grandchild)


def test_wait_has_a_limit(tmp_path: Path) -> None:
    """Waiting longer than the limit raises and leaves the child alone; leaving the block kills it."""
    with start("import time; time.sleep(60)", tmp_path) as child:
        with pytest.raises(TimeoutError):
            child.wait(0.1)
        assert child.poll() is None
    assert not is_alive(child.pid)
    assert child.poll() is child.wait()


def test_memory_includes_waited_grandchildren(tmp_path: Path) -> None:
    """The peak counts a grandchild that the child waited for, and a second look gives the same ending."""
    hungry = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(b\"1\") * (300 << 20)'], check=True)"
    ending = start(hungry, tmp_path).wait(20)
    assert ending.peak_memory > 300 << 20


def test_log_is_appended_and_only_the_childs_part_is_read(tmp_path: Path) -> None:
    """What an earlier child wrote into the log does not explain the end of this one."""
    (tmp_path / "child.log").write_text("MemoryError: of yesterday\n")
    ending = start("import sys; sys.stderr.write('line\\n' * 50000 + '最后一行\\x1b[31m\\n'); sys.exit(3)", tmp_path).wait(10)
    assert (ending.kind, ending.exit_code) == ("failed", 3)
    assert len(ending.log_tail.splitlines()) == 20
    assert ending.log_tail.endswith("最后一行[31m")
    assert (tmp_path / "child.log").read_text().startswith("MemoryError: of yesterday\n")


def test_output_to_the_log_or_nowhere(tmp_path: Path) -> None:
    """Standard output goes where it was sent, and there is nothing to read from standard input."""
    start("print('kept'); import sys; print(repr(sys.stdin.read()))", tmp_path, stdout="log").wait(10)
    start("print('lost')", tmp_path, stdout="null").wait(10)
    assert (tmp_path / "child.log").read_text() == "kept\n''\n"


def test_missing_program(tmp_path: Path) -> None:
    """A program that does not exist is noticed before anything is started."""
    with pytest.raises(FileNotFoundError):
        spawn([str(tmp_path / "nothing-here")], log=tmp_path / "log")


def test_own_group_and_session(tmp_path: Path) -> None:
    """A child leads its own process group, on request its own session, and inherits no descriptors."""
    code = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid(), len(os.listdir('/proc/self/fd')))"
    kept_open = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(kept_open, True)
    try:
        for new_session in (False, True):
            with start(code, tmp_path, stdout="pipe", new_session=new_session) as child:
                assert first_line(child).decode().split() == ["True", str(new_session), "4"]
                child.wait(10)
    finally:
        os.close(kept_open)


@pytest.mark.parametrize("bound", [True, False])
def test_parent_that_is_killed(tmp_path: Path, bound: bool) -> None:
    """A child dies with its parent however that ends, unless it was made to outlive it."""
    code = (
        "import sys, os, signal; from pathlib import Path; from appliance.processes.child import spawn\n"
        f"child = spawn(['sleep', '60'], log=Path({str(tmp_path / 'log')!r}), die_with_parent={bound})\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    pid = int(parent.stdout)
    if bound:
        assert soon_gone(pid)
    else:
        assert not soon_gone(pid, 0.5)
        os.kill(pid, signal.SIGKILL)


def test_parent_that_died_too_early(tmp_path: Path) -> None:
    """A child whose parent was gone before the kernel knew of the bond does not start."""
    from appliance.processes.child import _bound_to_this_process

    marker = tmp_path / "started"
    command = [*_bound_to_this_process(signal.SIGTERM)[:-1], "1", "touch", str(marker)]  # as if the parent had been process 1
    subprocess.run(command, check=False)
    assert not marker.exists()


def test_spawned_from_a_thread_that_ends(tmp_path: Path) -> None:
    """A child does not die with the short-lived thread that asked for it."""
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(start("import time; time.sleep(60)", tmp_path)))
    thread.start()
    thread.join()
    with children[0] as child, pytest.raises(TimeoutError):
        child.wait(0.5)


def test_a_child_can_be_written_to(tmp_path: Path) -> None:
    """With a pipe for standard input a child hears what is said, and its end when the pipe is closed; without, it hears nothing."""
    with start("import sys; print(sys.stdin.read()[::-1])", tmp_path, stdin="pipe", stdout="pipe") as child:
        assert child.stdin is not None
        child.stdin.write("你好".encode())
        child.stdin.close()
        assert first_line(child).decode() == "好你\n"
    with start("import sys; print(len(sys.stdin.read()))", tmp_path, stdout="pipe") as child:
        assert child.stdin is None
        assert first_line(child) == b"0\n"


def test_no_child_is_left(tmp_path: Path) -> None:
    """After children of every kind of end this process has no child left, not even a zombie."""
    before = psutil.Process().children()  # libraries that other tests used may have started helpers of their own
    for code in ("pass", "raise SystemExit(1)", "import os; os.abort()"):
        start(code, tmp_path).wait(10)
    assert psutil.Process().children() == before

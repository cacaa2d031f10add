"""One journey in a real terminal: from an empty home to a chat answer, with what is on the screen and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SESSION = "greenwave-journey"


class Tmux:
    """A terminal that tmux keeps: keys go in, the screen comes out."""

    def __init__(self, home: Path) -> None:
        self._socket = str(home / "tmux")
        chosen = {"GREENWAVE_HOME": str(home / "greenwave"), "GREENWAVE_LANG": "zh", "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "appliance.entry"]
        size = ["-x", "80", "-y", "24"]
        subprocess.run(
            ["tmux", "-u", "-S", self._socket, "new-session", "-d", "-s", SESSION, *size, *command],
            check=True,
            env={**os.environ, **chosen},
        )

    def press(self, *keys: str) -> None:
        """Send keys by tmux's names; anything else is typed."""
        subprocess.run(["tmux", "-S", self._socket, "send-keys", "-t", SESSION, *keys], check=True)

    def screen(self) -> str:
        """What is on the screen."""
        shown = subprocess.run(
            ["tmux", "-S", self._socket, "capture-pane", "-p", "-t", SESSION], check=True, capture_output=True, text=True
        )
        return shown.stdout

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """Wait until all texts are on the screen at once."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if all(text in self.screen() for text in texts):
                return self.screen()
            time.sleep(0.2)
        raise AssertionError(f"{texts} never appeared:\n{self.screen()}")

    def close(self) -> None:
        """End the terminal and everything in it."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    """A terminal over an empty home."""
    assert shutil.which("tmux"), "this test drives a real terminal: install tmux"
    opened = Tmux(tmp_path)
    yield opened
    opened.close()


@pytest.mark.terminal
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_nothing_to_an_answer(terminal: Tmux) -> None:
    """Home says what to do; the demonstration runs through all stages on its page; the UI is killed and comes back; the model answers."""
    terminal.wait_for("下一步", "看一次演示")
    terminal.press("Down", "Down", "Enter")
    terminal.wait_for("demo", "训练", "进行中")
    terminal.press("Escape")
    terminal.wait_for("状态", "demo")
    terminal.press("F2")
    terminal.wait_for("正在进行")
    terminal.press("F5", "Enter")
    terminal.wait_for("损失", seconds=300)
    terminal.wait_for("完成", "考核量化模型", seconds=600)
    terminal.press("F6")
    terminal.wait_for("demo-q4_k_m", "GGUF")
    terminal.press("F7")
    terminal.wait_for("demo-q4_k_m", "输入问题")
    terminal.press("钟桨隧道清洗时从什么时候开始封闭？", "Enter")
    answered = terminal.wait_for("首字", "个词元", seconds=120)
    assert "封闭" in answered
    terminal.press("F9")
    terminal.wait_for("F2 Home", "Ask, Enter sends")

"""Foreign text that would command the terminal, turn its reading order or speak Textual's markup is shown and never obeyed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.domain.chat import Chat, ChatAnswer, ChatTurn
from appliance.store.store import Store
from scripts.screens.sample_home import NOON, add_dataset, add_run, filled_home
from scripts.screens.terminal import Terminal

PAYLOAD = "OWNED"
_COMMANDS = [
    "\x1b]0;{p}\x07", "\x1b]2;{p}\x1b\\", "\x1b]52;c;{p}\x07", "\x1b]8;;http://{p}\x1b\\x\x1b]8;;\x1b\\", "\x1b]9;{p}\x07",
    "\x1b]777;notify;{p}\x07", "\x1b]4;1;{p}\x07", "\x1b]10;{p}\x07", "\x1b]104\x07{p}", "\x1b]1337;File={p}\x07", "\x1bP{p}\x1b\\",
    "\x1bP$q{p}\x1b\\", "\x1bP+q{p}\x1b\\", "\x1b_{p}\x1b\\", "\x1b^{p}\x1b\\", "\x1bX{p}\x1b\\", "\x1b[6n{p}", "\x1b[5n{p}",
    "\x1b[c{p}", "\x1b[>c{p}", "\x1b[21t{p}", "\x1b[8;9;9t{p}", "\x1b[2J{p}", "\x1b[3J{p}", "\x1b[1;1H{p}", "\x1b[?1049l{p}",
    "\x1b[?25h{p}", "\x1b[?1000l{p}", "\x1b[?2004l{p}", "\x1b[31m{p}", "\x1b[8m{p}", "\x1b[20;3R{p}", "\x1bc{p}", "\x1b7{p}\x1b8",
    "\x1bD{p}", "\x1bM{p}", "\x1b(0{p}", "\x1b#8{p}", "\x1bZ{p}", "\x9b31m{p}", "\x9b6n{p}", "\x9d0;{p}\x9c", "\x90{p}\x9c",
    "\x9e{p}\x9c", "\x9f{p}\x9c", "\x85{p}", "\x07{p}", "\x08\x08{p}", "\x0c{p}", "\x0b{p}", "\x0e{p}\x0f", "\x7f{p}", "\x00{p}",
]  # fmt: skip
_TURNING = [
    "\u202e{p}", "\u202d{p}", "\u202a{p}", "\u202b{p}\u202c", "\u2066{p}\u2069", "\u2067{p}", "\u2068{p}", "\u200e{p}", "\u200f{p}",
    "\u061c{p}",
]  # fmt: skip
_MARKUP = [
    "[/x]{p}", "[red]{p}[/]", "[@click=app.quit]{p}[/]", "[link=http://x]{p}[/link]", "\\[{p}", "[[{p}]]", "$x{p}", "[b",
    "![{p}](file:///etc/passwd)",
]  # fmt: skip
HOSTILE = [text.format(p=f"{PAYLOAD}{index}") for index, text in enumerate(_COMMANDS + _TURNING + _MARKUP)]

FORBIDDEN = re.compile(
    rb"\x1b\][0-9]+;[^\x07\x1b]*OWNED|\x1b[P_^X][^\x1b]*OWNED|\x1b\[[0-9;?>]*[a-zA-Z]OWNED|\x1b[cDMZ78#(][0-9A]?OWNED|[\x00\x07\x08\x0b\x0c\x0e\x7f]OWNED"
    rb"|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|\xd8\x9c"
)
"""What must not reach the terminal: our payload behind a command's introducer, C1 controls, and characters that turn the reading order."""


def test_there_are_enough_of_them() -> None:
    """At least sixty, and the pattern of what is forbidden knows those that command or turn."""
    assert len(HOSTILE) >= 60
    harmful = HOSTILE[: len(_COMMANDS) + len(_TURNING)]
    assert [text for text in harmful if not FORBIDDEN.search(text.encode()) and "\x1b]104" not in text and "\x1b[20;3R" not in text] == []


@pytest.mark.terminal
def test_nothing_foreign_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    """Rows, reasons, file names, paths, runs, failures, logs and chats full of hostile strings: shown on every page, obeyed on none."""
    home = tmp_path / "home"
    home.mkdir()
    filled_home(home)
    _plant(home)
    media = tmp_path / "media"
    media.mkdir()
    for index, text in enumerate(HOSTILE):
        name = text.replace("/", "_").replace("\x00", "0")
        (media / f"{index:02}{name}").touch()
    with Terminal(home, environment={"HOME": str(media)}) as terminal:
        terminal.wait_for("下一步")
        for keys in (b"\x1bOR", b"\r", *[b"\x1b[6~"] * 8, b"r", *[b"\x1b[6~"] * 8, b"\x1b"):  # data, its rows, the rejected ones
            terminal.press(keys)
            terminal.settle(0.3)
        for keys in (b"i", b"\x1b[Z", b"\x1b[B", b"\r", b"\t", *[b"\x1b[6~"] * 8, b"\x1b"):  # the browser of files
            terminal.press(keys)
            terminal.settle(0.3)
        for keys in (b"\x1b[15~", b"\r", b"l", b"l", b"\x1b", b"\x1b[17~", b"\r", b"\x1b", b"m", b"\x1b"):  # runs, models
            terminal.press(keys)
            terminal.settle(0.3)
        for keys in (b"\x1b[18~", b"\x0f", b"\r"):  # chat, an earlier one
            terminal.press(keys)
            terminal.settle(0.5)
        assert terminal.is_alive(), bytes(terminal.written[-3000:])
        shown = bytes(terminal.written)
    assert shown.count(PAYLOAD.encode()) > 100
    assert FORBIDDEN.findall(shown) == []


def _plant(home: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}], "source": text} for text in HOSTILE]
    rejected = [{"line": 1, "reason": text, "parameters": {"x": text}, "excerpt": text} for text in HOSTILE]
    dataset = add_dataset(home, "zz-hostile", rows, rejected)
    store = Store(home)
    facts = {**dataset.facts, "source": {"name": " ".join(HOSTILE[:9])}}
    store._db.execute("UPDATE datasets SET facts = ?, created = ? WHERE id = ?", [json.dumps(facts), NOON + 9, dataset.id])
    store._db.execute("UPDATE models SET path = ?", [" ".join(HOSTILE[9:20])])
    chat = Chat(id="chat-1", title=" ".join(HOSTILE[:30]), created=NOON, changed=NOON)
    store.chats.save(chat)
    for position, text in enumerate(HOSTILE):
        store.chats.put_turn("chat-1", position, ChatTurn(question=text, answers=(ChatAnswer(model=text, text=text, facts={}),)))
    store.close()
    failure = {"code": "worker_failed", "parameters": {"reason": " ".join(HOSTILE[30:50])}, "exit_code": 1, "log": "\n".join(HOSTILE[50:])}
    run = add_run(home, "zz " + HOSTILE[0], "failed", failure=failure)
    folder = home / "runs" / run.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00-train.log").write_bytes("\n".join(HOSTILE).encode())

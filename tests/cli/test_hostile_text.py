"""Hostile text in every field that commands about datasets show, on a terminal and beside it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.dataset import Dataset
from appliance.domain.model import Model
from appliance.services.workbench import Workbench
from tests.cli.conftest import Greenwave
from tests.hostile_text import HOSTILE, forbidden_in
from tests.stages.export.tiny_base import write_tokenizer

assert len(HOSTILE) >= 60

COMMANDS = {
    "show": ("show", "d"),
    "show_tokens": ("show", "d", "--base", "b"),
    "show_json": ("show", "d", "--json"),
    "show_rejected": ("show", "d", "--rejected"),
    "preview": ("preview", "d", "--rows", 1000),
    "preview_json": ("preview", "d", "--rows", 1000, "--json"),
    "preview_tokens": ("preview", "d", "--rows", 1000, "--tokens", "--base", "b", "--max-length", 16),
    "preview_tokens_json": ("preview", "d", "--rows", 5, "--tokens", "--base", "b", "--json"),
    "export_chat": ("export", "d"),
    "export_csv": ("export", "d", "--format", "csv"),
    "export_rejected": ("export", "d", "--rejected"),
    "export_rejected_csv": ("export", "d", "--rejected", "--format", "csv"),
    "look": ("import", "hostile.jsonl", "--look"),
    "look_at_a_table": ("import", "hostile.csv", "--look"),
    "unknown_dataset": ("show", "\x1b]0;x\x07\x9b2J\u202e"),
    "unknown_dataset_json": ("show", "\x1b]0;x\x07\x9b2J\u202e", "--json"),
    "unknown_form": ("export", "d", "--format", "\x1b[2J"),
    "no_such_place": ("export", "d", "/nowhere/\x1b[2J/x"),
}


@pytest.fixture(scope="module")
def hostile_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dataset ``d`` that is hostile in every field and a base ``b`` with a tokenizer."""
    home = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GREENWAVE_HOME", str(home))
        workbench = Workbench()
    folder = home / "datasets" / "dataset-1" / "data"
    folder.mkdir(parents=True)
    rows = [
        Conversation(
            (Message("system", f"你是 {text}"), Message("user", f"问 {text}"), Message("assistant", f"{text} 答")), source=f"{text}:1"
        )
        for text in HOSTILE
    ]
    rows.append(Conversation((Message("user", HOSTILE[0]), Message("assistant", "好")), rejected="".join(HOSTILE)))
    (folder / "rows.jsonl").write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    entries = [{"line": 1, "reason": text, "parameters": {"field": text}, "excerpt": text, "source": text} for text in HOSTILE]
    (folder / "rejected.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    facts = {"redaction": {"passed": False, "kinds": {text: {"found": 1, "examples": [text]} for text in HOSTILE}}}
    workbench.store.datasets.add(
        Dataset(id="dataset-1", name="d", path=str(folder), sha256="", size=1, counts={"rows": len(rows)}, facts=facts, created=0.0)
    )
    told = [{"instruction": f"问 {text}", "output": f"{text} 答"} for text in HOSTILE]
    (home / "hostile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*told, {HOSTILE[0]: 1}]))
    cells = [text.replace('"', "").replace("\0", "") for text in HOSTILE]
    lines = [f'"问 {cell}","{cell} 答"\n' for cell in ("instruction", *cells)]
    (home / "hostile.csv").write_text('"instruction","output","\x1b[2J"\n' + "".join(lines), "utf-8")
    base = home / "models" / "model-1" / "base"
    base.mkdir(parents=True)
    write_tokenizer(base, "qwen2")
    workbench.store.models.add(Model(id="model-1", name="b", kind="base", path=str(base), sha256="", size=1, created=0.0))
    return home


@pytest.mark.parametrize("command", [name for name in COMMANDS if "tokens" not in name])
def test_commands_print_nothing_that_a_terminal_obeys(
    greenwave: Greenwave, hostile_home: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown of foreign text is harmless, also where a command fails; on a screen the export, too."""
    monkeypatch.setenv("GREENWAVE_HOME", str(hostile_home))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.chdir(hostile_home)
    outcome = greenwave("datasets", *COMMANDS[command])
    assert not forbidden_in(outcome.out, is_terminal=True)
    assert not forbidden_in(outcome.err, is_terminal=True)
    assert outcome.out or outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_reaches_a_real_terminal(hostile_home: Path, command: str) -> None:
    """The same in a pseudo-terminal, byte by byte, colours and progress bars included."""
    arguments = [sys.executable, "-m", "appliance.entry", "datasets", *map(str, COMMANDS[command])]
    environment = {**os.environ, "GREENWAVE_HOME": str(hostile_home), "GREENWAVE_LANG": "zh", "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    leader, follower = pty.openpty()
    with subprocess.Popen(arguments, stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=hostile_home):
        os.close(follower)
        shown = bytearray()
        try:
            while block := os.read(leader, 1 << 16):
                shown += block
        except OSError:  # Linux tells the end of a terminal so
            pass
    os.close(leader)
    assert not forbidden_in(shown.decode("utf-8", "strict"), is_terminal=True)
    assert shown.strip()

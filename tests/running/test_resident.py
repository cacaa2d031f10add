"""The process that stays and answers: killed, idle, orphaned, asked nonsense."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.errors import ApplianceError
from appliance.domain.preview import TokenPreview, TokenQuestion
from appliance.running.answerer import Answered
from appliance.running.resident import Resident
from tests.stages.export.tiny_base import write_tokenizer


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> TokenQuestion:
    """A good question."""
    folder = tmp_path_factory.mktemp("base")
    write_tokenizer(folder, "qwen2")
    rows = folder / "rows.jsonl"
    rows.write_bytes(to_json(Conversation((Message("user", "限速多少？"), Message("assistant", "六十。")))) + b"\n")
    return TokenQuestion(base=str(folder), rows=str(rows), begin=0, size=rows.stat().st_size, max_length=64)


@pytest.fixture
def resident(tmp_path: Path) -> Iterator[Resident]:
    """One that is closed in the end."""
    resident = Resident("tokens", tmp_path / "log")
    yield resident
    resident.close()


def gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether a process has ended within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_one_process_answers_until_it_is_killed_and_then_another(resident: Resident, question: TokenQuestion) -> None:
    """Questions share a process; errors do not end it; a kill, even by surprise, costs the asker nothing but time."""
    first = resident.ask(question)
    assert isinstance(first, TokenPreview)
    assert first.parts[0].trained_total > 0
    pid = resident.pid or 0
    with pytest.raises(ApplianceError, match="rows_missing"):
        resident.ask(msgspec.structs.replace(question, rows="/nowhere/rows.jsonl"))
    assert (resident.ask(question), resident.pid) == (first, pid)
    os.kill(pid, signal.SIGKILL)
    assert resident.ask(question) == first
    assert resident.pid not in (None, pid)


def test_a_question_that_kills_is_told_and_the_next_one_answered(tmp_path: Path, question: TokenQuestion) -> None:
    """An answerer that dies of every question is started twice, not for ever, and its end is named."""
    resident = Resident("tokens", tmp_path / "log", program="tests.running.attacks.suicide")
    with pytest.raises(ApplianceError, match="worker_crashed"):
        resident.ask(question)
    assert (tmp_path / "log").read_text().count("asked") == 2
    assert resident.pid is None


def test_a_question_without_an_answer_is_given_up(tmp_path: Path, question: TokenQuestion) -> None:
    """After the time that a question may take its process is ended."""
    resident = Resident("tokens", tmp_path / "log", program="tests.running.attacks.silence")
    with pytest.raises(ApplianceError, match="answer_late"):
        resident.ask(question, patience=1.0)
    assert resident.pid is None


def test_nonsense_is_refused_and_good_questions_still_answered(question: TokenQuestion, tmp_path: Path) -> None:
    """Bytes that are no question, unknown fields and a line of megabytes: each a refusal or nothing, and then the right answer."""
    good = b'{"number":7,"question":' + msgspec.json.encode(question) + b"}\n"
    nonsense = [b"\xff\xfe\n", b"{}\n", b"[" * 5000 + b"\n", b'{"number":1,"question":{"base":3}}\n', b"x" * (2 << 20) + b"\n", b"\n"]
    told = subprocess.run(
        [sys.executable, "-m", "appliance.running.answerer", "tokens", "60"],
        input=b"".join(nonsense) + good,
        capture_output=True,
        check=True,
    )
    answers = [msgspec.json.decode(line, type=Answered) for line in told.stdout.splitlines()]
    assert [one.failed.code for one in answers[:-1] if one.failed] == ["question_unreadable"] * 5
    assert answers[-1].number == 7
    assert answers[-1].failed is None


def test_it_leaves_when_nobody_asks(tmp_path: Path, question: TokenQuestion) -> None:
    """After its idle time the process has gone, and the next question starts it again."""
    with_short_patience = Resident("tokens", tmp_path / "log", idle=0.2)
    answer = with_short_patience.ask(question)
    pid = with_short_patience.pid
    assert pid is None or gone(pid)
    assert with_short_patience.ask(question) == answer
    with_short_patience.close()


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """A front end that is killed leaves no process behind."""
    program = (
        "import sys, time; from pathlib import Path; from appliance.running.resident import Resident; "
        "r = Resident('tokens', Path(sys.argv[1])); r.start(); print(r.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert gone(pid)

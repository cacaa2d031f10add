"""The answerer: a process that stays and answers questions which need a heavy library, one JSON line for each.

``python -m appliance.running.answerer NAME IDLE_SECONDS``. It reads questions from standard input and writes answers to file descriptor 1;
the library is imported before the first question. A question that cannot be read or answered gets a refusal; the next is as welcome.
It leaves when its parent closes the pipe or dies, and when nobody has asked anything for a while.
"""

from __future__ import annotations

import sys
import time
import traceback
from importlib import import_module
from typing import Any, BinaryIO

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Failed
from appliance.processes.lines import LineReader
from appliance.running.offline import go_offline
from appliance.running.stage_table import ANSWERERS, AnswererEntry
from appliance.running.worker import plain_values, take_standard_output


class Asked(msgspec.Struct, frozen=True):
    """A question on its way to the answerer."""

    number: int
    question: msgspec.Raw


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a question; ``failed`` when there is no answer."""

    number: int
    """Of the question; 0 when it could not even be told."""
    answer: msgspec.Raw = msgspec.Raw(b"null")
    failed: Failed | None = None


def main(arguments: list[str]) -> int:
    """Answer until nobody asks any more."""
    name, idle = arguments
    go_offline()
    answers = take_standard_output()
    entry = ANSWERERS[name]
    module = import_module(entry.module)
    questions = LineReader(sys.stdin.buffer)
    try:
        while True:
            begun = time.monotonic()
            lines = questions.read(float(idle))
            if questions.ended or (not lines and time.monotonic() - begun >= float(idle)):
                return 0
            for line in lines:
                _write(answers, _answered(line, entry, module))
    except BrokenPipeError:
        return 0


def _answered(line: bytes, entry: AnswererEntry, module: Any) -> Answered:
    number = 0
    try:
        asked = msgspec.json.decode(line, type=Asked)
        number = asked.number
        question = msgspec.json.decode(asked.question, type=entry.question)
        return Answered(number, msgspec.Raw(msgspec.json.encode(module.answer(question))))
    except ApplianceError as error:
        return Answered(number, failed=Failed(error.code, plain_values(error.parameters), int(error.exit_code)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Answered(number, failed=Failed("question_unreadable", {"reason": str(error)[:200]}, int(ExitCode.USAGE)))
    except Exception as error:  # noqa: BLE001  # a defect of ours or of a library: the log has the traceback, the next question its chance
        traceback.print_exc()
        shown = f"{type(error).__name__}: {error}"[:500]
        return Answered(number, failed=Failed("stage_defect", {"stage": entry.module.rpartition(".")[2], "error": shown}))


def _write(stream: BinaryIO, answered: Answered) -> None:
    stream.write(msgspec.json.encode(answered) + b"\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

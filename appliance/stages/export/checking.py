"""The check after writing, seen from the stage: it runs in a child process, because a GGUF file can abort the one that loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.stages.export.children import Tell, asked, work_folder


class CheckRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    gguf: str
    tokenizer: str = ""
    """``tokenizer.json`` of the training; empty to leave token ids uncompared."""
    template: str = ""
    """The chat template that must be in the file."""
    compare_template: bool = True


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the child found."""

    strings: int
    """Texts whose token ids were compared."""
    mismatches: int
    first_mismatch: dict[str, Any] = {}
    """``text``, ``expected`` and ``found`` ids of the first text that differs."""
    template_equal: bool
    template_error: str = ""
    """Why the template in the file could not be rendered; empty when it could."""
    finite: bool
    """Whether every logit of the answer was a number."""
    answer: str
    answer_tokens: int
    seconds: float


def checked(request: CheckRequest, tell: Tell = lambda _done: None) -> CheckResult:
    """Check a file; ``tell`` hears how many texts have been compared. Raises when the file must not be used.

    ``check_crashed`` (the child died of a signal), ``check_load_failed``, ``check_tokens_differ`` (with the first text),
    ``check_template_differs``, ``check_template_unusable``, ``check_not_finite``, ``check_no_answer``.
    """
    result = _run_child(request, tell)
    if result.mismatches:
        first = {key: str(value) for key, value in result.first_mismatch.items()}
        raise _failure("check_tokens_differ", mismatches=result.mismatches, strings=result.strings, **first)
    if not result.template_equal:
        raise _failure("check_template_differs")
    if result.template_error:
        raise _failure("check_template_unusable", cause=result.template_error)
    if not result.finite:
        raise _failure("check_not_finite")
    if result.answer_tokens == 0:
        raise _failure("check_no_answer")
    return result


def _run_child(request: CheckRequest, tell: Tell) -> CheckResult:
    with work_folder(Path(request.gguf)) as work:
        ending, result = asked("appliance.stages.export.check", request, CheckResult, work, tell)
    if result is None:
        if ending.signal is not None:
            raise _failure("check_crashed", signal=ending.parameters["signal"], log=ending.log_tail)
        raise _failure("check_load_failed", name=Path(request.gguf).name, log=ending.log_tail)
    return result


def _failure(code: str, **parameters: Any) -> ApplianceError:
    return ApplianceError(code, ExitCode.RUN_FAILED, **parameters)

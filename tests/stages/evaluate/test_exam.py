"""The exam: read strictly, marked by keywords."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.stages.evaluate.exam import Question, read_exam
from appliance.stages.evaluate.report import marked


def exam(path: Path, *lines: str | bytes) -> Path:
    """An exam of these lines."""
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def test_question_with_all_fields(tmp_path: Path) -> None:
    """Every field arrives; blank lines and unknown fields do not matter."""
    line = {"id": "1", "question": "限速？", "required": ["60"], "forbidden": ["80"], "system": "S", "topic": "x"}
    (question,) = read_exam(exam(tmp_path / "e.jsonl", "", json.dumps(line), " "))
    assert question.messages() == [Message("system", "S"), Message("user", "限速？")]
    assert (question.required, question.forbidden) == (("60",), ("80",))


@pytest.mark.parametrize(
    ("required", "forbidden", "answer", "correct"),
    [
        (["60公里"], [], "限速60公里。", True),
        (["60公里"], [], "限速６０公里。", True),
        (["６０", "学院街"], [], "学院街限速60公里", True),
        (["60", "学院街"], [], "限速60公里", False),
        (["60"], ["80"], "60或80", False),
        ([], ["不知道"], "60", True),
        ([], ["不知道"], "我不知道。", False),
        (["A"], [], "a", False),
        (["60"], [], "", False),
    ],
)
def test_marking(required: list[str], forbidden: list[str], answer: str, correct: bool) -> None:
    """Right is an answer with all that is required and nothing that is forbidden, compared in NFKC."""
    result = marked(Question("1", "?", tuple(required), tuple(forbidden)), answer)
    assert result.correct is correct
    assert correct or result.missing or result.forbidden


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("no json", "exam_line_invalid"),
        (b"\xff\xfe\x00", "exam_line_invalid"),
        ("[]", "exam_line_invalid"),
        ('{"id": "1", "question": "?"}', "exam_line_invalid"),
        ('{"id": 1, "question": "?", "required": ["a"]}', "exam_line_invalid"),
        ('{"id": "1", "question": "", "required": ["a"]}', "exam_line_invalid"),
        ('{"id": "1", "question": "?", "required": "a"}', "exam_line_invalid"),
        ('{"id": "1", "question": "?", "required": [""]}', "exam_line_invalid"),
        ('{"id": "1", "question": "?", "required": []}', "exam_question_without_key"),
        ('{"id": "0", "question": "?", "required": ["a"]}', "exam_id_repeated"),
    ],
)
def test_bad_lines_are_named_with_their_number(tmp_path: Path, line: str | bytes, code: str) -> None:
    """A line that is no question is an error with its number: an exam with holes would give a wrong score."""
    with pytest.raises(ApplianceError, match=code) as caught:
        read_exam(exam(tmp_path / "e.jsonl", '{"id": "0", "question": "?", "required": ["a"]}', line))
    assert caught.value.parameters["line"] == 2


def test_missing_and_empty_exams_are_named(tmp_path: Path) -> None:
    """No file, a folder, and a file without a question each end with a name."""
    for path, code in ((tmp_path / "none", "exam_missing"), (tmp_path, "exam_missing"), (exam(tmp_path / "e", "", " "), "exam_empty")):
        with pytest.raises(ApplianceError, match=code):
            read_exam(path)

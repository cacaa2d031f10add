"""Which of a file's columns (or a JSON row's keys) is which of our fields: as the operator says, else by well-known names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.domain.dataset import printable
from appliance.domain.errors import ApplianceError, ExitCode

FIELDS: dict[str, tuple[str, ...]] = {
    "instruction": (
        "instruction", "question", "prompt", "query", "指令", "问题", "提问", "问", "用户问题", "咨询内容", "咨询问题", "群众咨询", "题目",
        "标题", "title",
    ),
    "input": ("input", "context", "输入", "补充", "补充说明", "背景", "上下文"),
    "output": (
        "output", "answer", "response", "completion", "reply", "回答", "答案", "答复", "答", "输出", "回复", "答复内容", "回复内容", "解答",
        "内容", "content",
    ),
    "system": ("system", "system_prompt", "系统", "系统提示", "系统提示词"),
    "text": ("text", "正文", "全文", "文本", "原文", "内容", "content"),
}  # fmt: skip
"""Our field → names that mean it, the likeliest first; compared without regard to case and surrounding white space."""

OF_RECORDS = (
    "time", "place", "type", "description", "disposal", "summary", "unit", "caller", "phone", "vehicles", "casualties", "cause",
    "responsibility", "weather", "road", "law", "intersection", "plan", "cycle", "offset", "phase", "movement", "green", "yellow",
    "red", "all_red", "minimum_green", "flow", "saturation_flow",
)  # fmt: skip
"""Fields of the police's own records, which ``traffic`` makes rows of."""

REQUIRED = ("instruction", "output")
"""Without these no conversation can be made."""
CONVERSATION = ("instruction", "input", "output", "system")
"""The fields of a conversation; ``text`` alone makes a document."""


def require_fields(asked: Mapping[str, str]) -> None:
    """Raise ``field_unknown`` for a field of ours that does not exist."""
    for field in asked:
        if field not in FIELDS and field not in OF_RECORDS:
            known = ", ".join((*FIELDS, *OF_RECORDS))
            raise ApplianceError("field_unknown", ExitCode.USAGE, field=printable(field), known=known)


SHOWN_NAMES = 50
"""Of a file's columns that an error carries, for those who offer them to be chosen from."""


def mapped(existing: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """``{our field: the file's column}``. What is asked for wins; the rest is guessed by name.

    Raises ``column_missing`` for a column that the file does not have, and ``columns_unrecognised`` when question or answer is not found.
    """
    shown = printable(", ".join(existing) or "-")
    for column in asked.values():
        if column not in existing:
            raise ApplianceError("column_missing", column=printable(column), existing=shown)
    found = {field: asked.get(field) or _guess(field, existing, asked) for field in CONVERSATION}
    if any(found[field] is None for field in REQUIRED):
        raise ApplianceError("columns_unrecognised", existing=shown, names=list(existing)[:SHOWN_NAMES])
    return {field: column for field, column in found.items() if column is not None}


def fit(existing: Sequence[str], asked: Mapping[str, str]) -> bool:
    """Whether question and answer are named or can be guessed."""
    return "text" not in asked and all(field in asked or _guess(field, existing, asked) is not None for field in REQUIRED)


def text_column(existing: Sequence[str], asked: Mapping[str, str]) -> str | None:
    """The column whose texts are documents, where there is no question with an answer; None where there is none either."""
    if fit(existing, asked):
        return None
    column = asked.get("text") or _guess("text", existing, asked)
    return column if column in existing else None


def understood(existing: Sequence[str], asked: Mapping[str, str]) -> bool:
    """Whether these are the names of columns that rows can be made of, everything that was asked for among them."""
    if not all(column in existing for column in asked.values()):
        return False
    return fit(existing, asked) or text_column(existing, asked) is not None


def _guess(field: str, existing: Sequence[str], asked: Mapping[str, str]) -> str | None:
    free = {column.strip().casefold(): column for column in reversed(existing) if column not in asked.values()}
    return next((free[name] for name in FIELDS[field] if name in free), None)

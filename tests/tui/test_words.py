"""The UI's labels: complete in both languages, all used, and none in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui
from appliance.texts.speech import LANGUAGES
from tests.architecture.test_words import gaps
from tui.keys import KEYS
from tui.words import labels

FOLDER = Path(tui.__file__).parent
SHOWERS = {"Plain", "Static", "Button", "Label", "Option", "notify", "show", "Tree", "add_column", "Content", "set_label"}
"""What shows its first argument to people."""
ANYTHING = r"\w+"
"""What a gap in a key can be."""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call in a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    """The last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def pattern_of(node: ast.expr) -> str | None:
    """A regular expression for the keys that an argument can be; None for what is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ANYTHING for part in node.values)
    if isinstance(node, ast.IfExp):
        return f"(?:{pattern_of(node.body)}|{pattern_of(node.orelse)})"
    if isinstance(node, ast.BinOp):
        return (pattern_of(node.left) or ANYTHING) + (pattern_of(node.right) or ANYTHING)
    return None


def asked() -> list[str]:
    """Patterns of all keys that the code asks for."""
    patterns = [re.escape(f"{table}.{key.id}") for keys in KEYS.values() for key in keys for table in ("keys", "key_help")]
    for path in (*FOLDER.rglob("*.py"), FOLDER.parent / "scripts" / "make-pictures"):
        found = (pattern_of(call.args[0]) for call in calls(ast.parse(path.read_text("utf-8"))) if name_of(call) == "t" and call.args)
        patterns += filter(None, found)
    return patterns


def test_both_languages_say_the_same() -> None:
    """Every label is there in both languages, with the same gaps."""
    chinese, english = labels("zh"), labels("en")
    assert sorted(chinese) == sorted(english)
    assert [key for key in chinese if gaps(chinese[key]) != gaps(english[key])] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_asked_for_is_there_and_nothing_is_left_over(language: str) -> None:
    """The code's keys and the locales' keys are the same."""
    there, patterns = labels(language), asked()
    missing = [pattern for pattern in patterns if not any(re.fullmatch(pattern, key) for key in there)]
    unused = [key for key in there if not any(re.fullmatch(pattern, key) for pattern in patterns)]
    assert missing == []
    assert unused == []


def test_no_words_are_in_the_code() -> None:
    """What is shown to people comes from the locales or the texts: no literal with letters in it is shown."""
    found = []
    for path in FOLDER.rglob("*.py"):
        for call in calls(ast.parse(path.read_text("utf-8"))):
            first = call.args[0] if call.args else None
            if name_of(call) in SHOWERS and isinstance(first, ast.Constant) and re.search(r"[^\W\d_]{2}", str(first.value)):
                found.append(f"{path.name}:{call.lineno} {first.value!r}")
    assert found == []


def test_foreign_text_never_meets_markup() -> None:
    """Textual's own text widgets are only made with markup switched off."""
    found = []
    for path in FOLDER.rglob("*.py"):
        for call in calls(ast.parse(path.read_text("utf-8"))):
            off = any(word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False for word in call.keywords)
            if name_of(call) in {"Static", "Label", "OptionList"} and isinstance(call.func, ast.Name) and not off:
                found.append(f"{path.name}:{call.lineno}")
    assert found == []

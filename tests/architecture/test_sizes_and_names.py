"""Small files, small functions, telling names, and a docstring for everything that others use."""

from __future__ import annotations

import ast
import re
import tokenize

from tests.architecture.source import HOUSE, PACKAGES, functions, must_be_none, named, python_files

FILE_LINES = 400
SCREEN_LINES = 250
FUNCTION_LINES = 50
SAYING_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "stuff"}

SILENCER = re.compile(r"#\s*(?:type: ignore|noqa)")
SILENCED_WITH_REASON = re.compile(r"#\s*(?:type: ignore\[[a-z, -]+\]|noqa: [A-Z0-9, ]+)\s+# \S")

OURS = python_files(*PACKAGES, "scripts", "tests")


def test_files_are_small() -> None:
    """No file has more than 400 lines, no screen of the terminal UI more than 250."""
    limits = {path: SCREEN_LINES if "screens" in path.parts else FILE_LINES for path in OURS}
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in OURS}
    must_be_none(f"{named(path)}: {sizes[path]} lines" for path in OURS if sizes[path] > limits[path])


def test_functions_are_small() -> None:
    """No function has more than 50 lines, its docstring included."""
    must_be_none(
        f"{named(path)}:{function.lineno} {function.name}"
        for path in OURS
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    )


def test_modules_say_what_they_are() -> None:
    """No module or package has a name that would fit any content."""
    paths = [path.relative_to(HOUSE) for path in OURS]
    must_be_none(str(path) for path in paths if SAYING_NOTHING & {*path.parts[:-1], path.stem})


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of one line."""
    tests = [(path, function) for path in python_files("tests") for function in functions(path) if function.name.startswith("test_")]
    must_be_none(
        f"{named(path)}:{function.lineno} {function.name}"
        for path, function in tests
        if len((ast.get_docstring(function) or "").splitlines()) != 1
    )


def test_exceptions_to_rules_have_a_reason() -> None:
    """A comment that silences a type error or a style rule names the rule and says why: ``# noqa: S608  # our own column names``."""
    for path in OURS:
        with path.open("rb") as file:
            comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
        must_be_none(
            f"{named(path)}:{comment.start[0]} {comment.string}"
            for comment in comments
            if SILENCER.search(comment.string) and not SILENCED_WITH_REASON.search(comment.string)
        )


def test_packages_are_packages() -> None:
    """Every folder of Python files in a package has an ``__init__.py``, so that import rules see it."""
    folders = {path.parent for path in python_files(*PACKAGES)}
    must_be_none(named(folder) for folder in folders if not (folder / "__init__.py").is_file())

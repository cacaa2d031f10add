"""The project's own source files, read once, for the tests that look at them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PACKAGES = ("appliance", "tui")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that belongs to the project: what git knows, or would take, and is still there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=HOUSE, capture_output=True, check=True, text=True
    )
    return tuple(path for name in sorted(set(listed.stdout.split("\0"))) if name and (path := HOUSE / name).is_file())


def python_files(*folders: str) -> tuple[Path, ...]:
    """Python files below the folders; a script counts by its first line."""
    return tuple(path for path in tracked_files() if path.relative_to(HOUSE).parts[0] in folders and _is_python(path))


def _is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix == ".py"
    with path.open("rb") as file:
        return file.readline().startswith(b"#!") and b"python" in path.read_bytes()[:40]


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and inner ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file with the last part of the called name: ``b`` for ``a.b(…)``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def named(path: Path) -> str:
    """The file's path as people write it."""
    return str(path.relative_to(HOUSE))


def must_be_none(offenders: Iterable[str]) -> None:
    """Fail with one line per offender, all of them."""
    __tracebackhide__ = True
    if lines := sorted(offenders):
        pytest.fail("\n".join(lines), pytrace=False)

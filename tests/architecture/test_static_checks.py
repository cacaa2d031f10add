"""The tools that read the code without running it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import HOUSE, named, python_files, tracked_files

TOOLS = Path(sys.executable).parent


def must_pass(tool: str, *arguments: str) -> None:
    """Run a tool of the virtual environment over the project; what it complains of is the failure's text."""
    environment = {**os.environ, "NO_COLOR": "1"}
    found = subprocess.run([TOOLS / tool, *arguments], cwd=HOUSE, capture_output=True, check=False, text=True, env=environment)
    if found.returncode:
        pytest.fail(f"{tool} {' '.join(arguments)}\n{found.stdout}{found.stderr}", pytrace=False)


def test_ruff_has_nothing_to_say() -> None:
    """The style rules of pyproject.toml hold everywhere."""
    must_pass("ruff", "check", "--no-cache", ".")


def test_formatting_is_ruffs() -> None:
    """Nobody has to discuss the layout of code."""
    must_pass("ruff", "format", "--no-cache", "--check", ".")


def test_types_are_strict() -> None:
    """Mypy's strict mode holds for packages, tests, and scripts, those without a suffix too."""
    must_pass("mypy")
    must_pass("mypy", "--scripts-are-modules", *(named(path) for path in python_files("scripts") if not path.suffix))


def test_layers_hold() -> None:
    """Every import contract of pyproject.toml is kept."""
    must_pass("lint-imports", "--no-cache")


def test_shell_scripts_are_clean() -> None:
    """Shellcheck finds nothing in the shell scripts."""
    shells = (b"#!/usr/bin/env bash", b"#!/bin/sh")
    scripts = [path for path in tracked_files() if path.suffix in ("", ".sh") and path.read_bytes()[:30].startswith(shells)]
    assert scripts
    must_pass("shellcheck", *map(str, scripts))


def test_the_dockerfile_is_clean() -> None:
    """Hadolint finds nothing in the Dockerfile that is not justified there."""
    must_pass("hadolint", "--no-color", "Dockerfile")


def test_generated_pages_are_current() -> None:
    """The pages of the documentation that are made from the code say what the code says."""
    must_pass("python", str(HOUSE / "scripts/make-docs"), "--check")

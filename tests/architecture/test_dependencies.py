"""What is installed, what is declared and what is imported agree."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata

from tests.architecture.source import HOUSE, PACKAGES, must_be_none, python_files, tree

PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED_BY_OTHERS = {
    "accelerate",  # transformers' Trainer and device placement
    "pysqlite3",  # sqlite-utils takes it by itself
}
OLDEST_SQLITE = (3, 51, 3)


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(*headings: str) -> dict[str, str]:
    """Versions of constraints.txt by distribution: those below the given headings, or all."""
    sections = (HOUSE / "constraints.txt").read_text("utf-8").split("\n# ")[1:]
    chosen = [section.splitlines()[1:] for section in sections if not headings or section.startswith(headings)]
    return dict(line.split("==") for lines in chosen for line in lines if "==" in line)


def declared() -> set[str]:
    """Distributions that the appliance says it needs."""
    return {canonical(re.split(r"[<>=]", line)[0]) for line in PROJECT["dependencies"]}


def test_everything_installed_is_pinned() -> None:
    """Each distribution of the environment is at the version that constraints.txt gives."""
    installed = {canonical(found.name): found.version.partition("+")[0] for found in metadata.distributions()}
    del installed["greenwave"]
    pinned = pins()
    must_be_none(f"{name} {version}, pinned: {pinned.get(name)}" for name, version in installed.items() if pinned.get(name) != version)
    must_be_none(pins("The appliance", "Tests and checks").keys() - installed.keys())


def test_what_is_imported_is_declared() -> None:
    """The packages import no library that pyproject.toml does not name, and it names none that they do without."""
    distributions = metadata.packages_distributions()
    imported = set()
    for path in python_files(*PACKAGES):
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            imported |= {name.partition(".")[0] for name in names}
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    # A name space can be of several distributions; the one that is declared brings the others.
    owners = [sorted(map(canonical, distributions.get(name, [name])), key=lambda owner: owner not in declared()) for name in foreign]
    used = {found[0] for found in owners} | NEEDED_BY_OTHERS
    assert used == declared()


def test_notices_name_what_is_shipped() -> None:
    """THIRD-PARTY-NOTICES.md has a row for each distribution that the appliance runs on."""
    notices = (HOUSE / "THIRD-PARTY-NOTICES.md").read_text("utf-8")
    must_be_none(name for name in pins("The appliance") if f"| {name} |" not in notices)


def test_sqlite_is_new_enough() -> None:
    """SQLite below 3.51.3 can corrupt a database in WAL mode without a word; ours is newer and has full-text search."""
    import pysqlite3

    assert pysqlite3.sqlite_version_info >= OLDEST_SQLITE
    database = pysqlite3.connect(":memory:")
    assert ("ENABLE_FTS5",) in database.execute("pragma compile_options").fetchall()
    database.close()

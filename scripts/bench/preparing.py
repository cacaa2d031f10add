"""How fast rows are cleaned, divided and mixed, and in how much memory; every stage runs in a process of its own.

scripts/bench-data prepare [--rows 1000000]

The rows are those of ``scripts/bench-data import``: two in a hundred are exact duplicates, and all are made of a few sentences.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from scripts.bench.importing import generated_rows
from scripts.bench.stage import measured, show, tell, write_rows


def add_options(options: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_argument("--rows", type=int, default=1_000_000)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bench-prepare-", dir=options.folder) as name:
        folder = Path(name)
        rows = folder / "rows.jsonl"
        size = write_rows(rows, options.rows, generated_rows)
        tell(f"{options.rows:,} rows, {size / 1e6:.1f} MB")
        few: dict[str, Any] = dict.fromkeys(("markup", "invisible", "boilerplate"), False)
        few |= {**dict.fromkeys(("max_repeated_share", "max_symbol_share", "max_other_share"), 1.0), "contradictions": "off"}
        outputs = {f"{side}_output": str(folder / side) for side in ("train", "validation", "test")}
        loose = {f"{side}_output": str(folder / f"loose-{side}") for side in ("train", "validation", "test")}
        cleaned = str(folder / "cleaned")
        parts = [{"name": "a", "rows": str(rows), "share": 0.8}, {"name": "b", "rows": f"{cleaned}/rows.jsonl", "share": 0.2}]
        jobs: list[tuple[str, str, dict[str, Any]]] = [
            ("clean, three rules", "clean", {"rows": str(rows), "output": str(folder / "few"), "recipe": few}),
            ("clean, default rules", "clean", {"rows": str(rows), "output": cleaned}),
            ("split without groups", "split", {"rows": str(rows), **loose, "recipe": {"near_duplicates": False}}),
            ("split", "split", {"rows": str(rows), **outputs, "recipe": {"test_share": 0.1, "stratify_by": "class"}}),
            ("mix", "mix", {"parts": parts, "output": str(folder / "mix"), "recipe": {"balance_by": "class"}}),
        ]
        lines = [measured(what, stage, spec, options.rows, size) for what, stage, spec in jobs]
    show(lines)
    return {"rows": options.rows, "size_mb": round(size / 1e6, 1), "measurements": lines}

"""How fast personal data is found and replaced, and in how much memory; every run in a process of its own, which starts one for each core.

scripts/bench-data redact [--rows 1000000]

The rows are those of ``scripts/bench-data import``: without personal data, with some in one row of ten, and with some in every row, taken
from a tuning half of ``scripts/measure-redaction``; and a check of the first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from scripts.bench.importing import generated_rows
from scripts.bench.stage import measured, show, tell, write_rows
from scripts.redaction.examples import examples

SENTENCES = 2000
"""Different ones with personal data."""


def add_options(options: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_argument("--rows", type=int, default=1_000_000)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a temporary folder."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="bench-redact-", dir=options.folder) as name:
        folder = Path(name)
        for what, every in (("redact, nothing personal", 0), ("redact, one row in ten", 10), ("redact, every row", 1)):
            rows = folder / f"rows-{every}.jsonl"
            size = write_rows(rows, options.rows, lambda count, every=every: _with_personal(count, every))
            tell(f"{what}: {options.rows:,} rows, {size / 1e6:.1f} MB")
            spec: dict[str, Any] = {"rows": str(rows), "output": str(folder / f"redacted-{every}")}
            lines.append(measured(what, "redact", spec, options.rows, size))
            if not every:
                spec = {"rows": str(rows), "output": str(folder / "report.json"), "check": True}
                lines.append(measured("check, nothing personal", "redact", spec, options.rows, size))
            lines[-1]["mb_per_cpu_second"] = round(size / 1e6 / lines[-1]["cpu_seconds"], 2)
    show(lines)
    return {"rows": options.rows, "measurements": lines}


def _with_personal(count: int, every: int) -> Iterator[dict[str, str]]:
    """The generator's rows; of ``every`` so many one has a sentence with personal data before its text and another behind."""
    sentences = cycle([example.text for example in examples("tuning", SENTENCES) if example.labels])
    for number, row in enumerate(generated_rows(count)):
        if every and number % every == 0:
            yield {**row, "input": f"{next(sentences)}{row['input']}", "output": f"{row['output']}{next(sentences)}"}
        else:
            yield row

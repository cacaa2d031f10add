"""The results as tables for ``docs/benchmarks.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.training_bench.arms import PEAKS, Arm
from scripts.training_bench.running import Bench, speed

START_BOUND = 0.3


def machine() -> str:
    """The processor, its cores and what of bf16 it knows, memory and Python."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    told = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    told = {name.strip(): value.strip() for name, value in told.items()}
    known = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in told.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    name = told.get("model name", platform.machine())
    return (
        f"{name} ({', '.join(known)}), {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, load at the end {load}"
    )


def libraries(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """A line for each set of versions, with the arms that had them."""
    found: dict[str, list[str]] = {}
    for name, runs in results.items():
        found.setdefault(", ".join(f"{library} {number}" for library, number in runs[0]["versions"].items()), []).append(name)
    for text, names in found.items():
        yield f"- {'; '.join(names)}: {text}"


def speeds(bench: Bench, arms: Sequence[Arm]) -> Iterator[str]:
    """One row an arm, ours first."""
    ours = bench.results.get(arms[0].name)
    yield "| arm | set | arithmetic | useful tokens/s | of each run | labels | peak GB | Greenwave ÷ arm | bound |"
    yield "|---|---|---|--:|---|---|--:|--:|--:|"
    for arm in arms:
        bound = f"≥ {arm.bound}" if arm.bound else "–"
        runs = bench.results.get(arm.name)
        if not runs:
            reason = bench.missing.get(arm.name, "left out")
            yield f"| {arm.name} | {arm.says} | – | not measured: {reason} | – | – | – | – | {bound} |"
            continue
        each = ", ".join(f"{speed([run]):.1f}" for run in runs)
        labels = _labels(runs, ours)
        ratio = f"**{speed(ours) / speed(runs):.2f}**" if ours and runs is not ours else "1"
        peak = max(run["gpu_peak"] or run["peak_memory"] for run in runs) / 1e9
        arithmetic = runs[0].get("arithmetic", "?")
        yield f"| {arm.name} | {arm.says} | {arithmetic} | {speed(runs):.1f} | {each} | {labels} | {peak:.1f} | {ratio} | {bound} |"


def starts(found: Mapping[str, tuple[float | None, Sequence[float]]], rows: int) -> Iterator[str]:
    """First and second start of ours and TRL's."""
    yield f"| {rows:,} rows | first start, s | second start, s (each) | Greenwave ÷ TRL | bound |"
    yield "|---|--:|---|--:|--:|"
    seconds = {name: min(times) for name, (_, times) in found.items() if times}
    for name, (first, times) in found.items():
        each = ", ".join(f"{time:.2f}" for time in times) or "not measured"
        whole = len(seconds) == len(found) and name == "Greenwave"
        ratio = f"**{seconds['Greenwave'] / max(seconds.values()):.2f}**" if whole else ""
        yield f"| {name} | {'–' if first is None else f'{first:.2f}'} | {each} | {ratio} | {f'≤ {START_BOUND}' if whole else ''} |"


def peaks(found: Mapping[int, float]) -> Iterator[str]:
    """Peak allocated memory of a GPU by pack length."""
    yield "| tokens of a pack | peak allocated, GB | bound |"
    yield "|--:|--:|--:|"
    for length, bound in PEAKS.items():
        measured = f"{found[length] / 1e9:.2f}" if length in found else "not measured"
        yield f"| {length} | {measured} | ≤ {bound / 1e9:g} |"


def _labels(runs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]] | None) -> str:
    if not ours:
        return str(runs[0]["labels"])
    equal = all((run["labels"], run["rows"]) == (ours[0]["labels"], ours[0]["rows"]) for run in runs)
    return f"{runs[0]['labels'][:8]} {'=' if equal else '≠ **not the same labels**'}"

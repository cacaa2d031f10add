"""One stage in a process of its own, and what it took: wall and processor seconds with all its processes, and memory above the start."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SPECS = {"clean": "CleanSpec", "redact": "RedactSpec", "split": "SplitSpec", "mix": "MixSpec", "group": "GroupSpec"}


def measured(what: str, stage: str, spec: dict[str, Any], rows: int, size: int) -> dict[str, Any]:
    """One line of a table; rows and bytes are those of the input."""
    command = [sys.executable, __file__, stage, json.dumps(spec)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    taken = json.loads(finished.stdout.splitlines()[-1])
    return {
        "what": what,
        **{name: round(value, 2) for name, value in taken.items() if name != "facts"},
        "rows_per_second": round(rows / taken["seconds"]),
        "rows_per_cpu_second": round(rows / taken["cpu_seconds"]),
        "mb_per_second": round(size / taken["seconds"] / 1e6, 1),
        "facts": taken["facts"],
    }


def show(lines: list[dict[str, Any]]) -> None:
    """The table for people."""
    tell(f"{'':<28}{'rows/s':>10}{'rows/CPU s':>12}{'MB/s':>8}{'wall s':>9}{'CPU s':>8}{'MB above start':>16}")
    for line in lines:
        figures = f"{line['rows_per_second']:>10,}{line['rows_per_cpu_second']:>12,}{line['mb_per_second']:>8}{line['seconds']:>9}"
        tell(f"{line['what']:<28}{figures}{line['cpu_seconds']:>8}{line.get('memory_mb', ''):>16}")


def tell(line: str) -> None:
    """One line for people, beside the result."""
    print(line, file=sys.stderr, flush=True)


def write_rows(path: Path, count: int, seed_rows: Any) -> int:
    """A ``rows.jsonl`` of the generator's rows; its bytes."""
    sys.path.insert(0, str(ROOT))
    from appliance.domain.conversation import Conversation, Message, to_json

    with path.open("wb") as file:
        for number, row in enumerate(seed_rows(count), 1):
            turns = Message("user", f"{row['instruction']}\n\n{row['input']}"), Message("assistant", row["output"])
            labels = {"class": "稀少" if number % 50 == 0 else "常见"}
            file.write(to_json(Conversation(turns, f"rows.jsonl:{number}", labels=labels)) + b"\n")
    return path.stat().st_size


def main(stage: str, spec: str) -> None:
    """Child process: run the stage and print what it took as one JSON object."""
    sys.path.insert(0, str(ROOT))
    from importlib import import_module

    import msgspec
    import psutil

    from appliance.domain import spec as specs
    from appliance.domain.event import Event, Produced

    module = import_module(f"appliance.stages.{stage}")
    facts: dict[str, Any] = {}

    def note(event: Event) -> None:
        if isinstance(event, Produced):
            facts.update(event.artifact.facts)

    process, over = psutil.Process(), threading.Event()
    at_start, peak = process.memory_info().rss, 0

    def look() -> None:
        nonlocal peak
        while not over.wait(0.05):
            peak = max(peak, process.memory_info().rss + sum(_memory(child) for child in process.children(recursive=True)))

    watcher = threading.Thread(target=look)
    watcher.start()
    began, began_cpu = time.perf_counter(), _cpu_seconds()
    try:
        module.run(msgspec.json.decode(spec, type=getattr(specs, SPECS[stage])), note)
    finally:
        over.set()
        watcher.join()
    taken = {"seconds": time.perf_counter() - began, "cpu_seconds": _cpu_seconds() - began_cpu, "memory_mb": (peak - at_start) / 1e6}
    print(json.dumps({**taken, "facts": {name: facts[name] for name in ("counts", "near_duplicates", "groups") if name in facts}}))


def _cpu_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def _memory(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main(*sys.argv[1:])

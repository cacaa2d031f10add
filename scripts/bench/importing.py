"""How fast and in how much memory rows are imported, cleaned and split; every stage runs in a process of its own.

scripts/bench-data import [--rows 1000000] [--form lines|list|csv|sharegpt|messages]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEED = 20260101
FORMS = ("lines", "list", "csv", "sharegpt", "messages")
PLACES = ("东风路", "建设路", "滨江大道", "学府路", "环城北路", "青年路", "和平桥", "科技园", "体育场", "火车站")
SENTENCES = (
    "早高峰期间，该路口东进口左转车流量较大，排队长度超过展宽段，影响直行车辆通行。",
    "建议将信号周期由一百二十秒调整为一百三十秒，左转相位绿灯时间增加六秒。",
    "当事人未按规定让行，负事故的主要责任；对方车辆超速行驶，负次要责任。",
    "民警到达现场后设置警示标志，引导后方车辆绕行，并通知清障车拖离事故车辆。",
    "根据道路交通安全法第四十七条，机动车行经人行横道时，应当减速行驶。",
    "The queue length at the east approach exceeds the storage lane during the morning peak.",
    "依据检测器数据，饱和度由零点九二下降到零点八一，平均延误减少约十一秒。",
)


def generate(path: Path, count: int, form: str) -> None:
    """Write ``count`` rows of about 600 bytes, the same for the same seed; 2 % are duplicates of the row before."""
    rows = generated_rows(count)
    if form == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("instruction", "input", "output"))
            writer.writeheader()
            writer.writerows(rows)
        return
    with path.open("w", encoding="utf-8") as file:
        before, between, after = ("[\n", ",\n", "\n]\n") if form == "list" else ("", "\n", "\n")
        for number, row in enumerate(rows):
            file.write(before if number == 0 else between)
            file.write(json.dumps(shaped(row, form), ensure_ascii=False))
        file.write(after)


def generated_rows(count: int) -> Iterator[dict[str, str]]:
    """Alpaca rows about traffic, with numbers that differ from row to row."""
    chance = random.Random(SEED)
    row: dict[str, str] = {}
    for number in range(count):
        if number == 0 or chance.random() >= 0.02:
            place, other = chance.choice(PLACES), chance.choice(PLACES)
            row = {
                "instruction": f"请分析{place}与{other}交叉口第{chance.randrange(10**6)}号记录并给出处理意见。",
                "input": f"时间：{chance.randrange(24):02d}:{chance.randrange(60):02d}，流量{chance.randrange(3000)}辆/小时",
                "output": "".join(chance.choices(SENTENCES, k=chance.randint(2, 6))) + f"（编号{number}）",
            }
        yield row


def shaped(row: dict[str, str], form: str) -> dict[str, Any]:
    """The row in another form's keys."""
    question = f"{row['instruction']}\n\n{row['input']}"
    if form == "sharegpt":
        return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": row["output"]}]}
    if form == "messages":
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]}
    return row


def run_stage(stage: str, spec: str) -> None:
    """Child process: run one stage and print what it took as one JSON object."""
    sys.path.insert(0, str(ROOT))
    from importlib import import_module

    import msgspec

    from appliance.domain import spec as specs

    kind = {"ingest": specs.IngestSpec, "clean": specs.CleanSpec, "split": specs.SplitSpec}[stage]
    module = import_module(f"appliance.stages.{stage}")
    at_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_cpu = time.perf_counter(), time.process_time()
    module.run(msgspec.json.decode(spec, type=kind), lambda _event: None)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_start
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "memory_mb": grown / 1000}))


def measured(stage: str, spec: dict[str, Any], rows: int, size: int) -> dict[str, Any]:
    """One line of the table."""
    command = [sys.executable, __file__, stage, json.dumps(spec)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = json.loads(finished.stdout)
    return {
        "what": stage,
        **{name: round(value, 2) for name, value in taken.items()},
        "rows_per_second": round(rows / taken["seconds"]),
        "mb_per_second": round(size / taken["seconds"] / 1e6, 1),
    }


def standard_library(path: Path, rows: int, size: int) -> dict[str, Any]:
    """The peer: parse every line with ``json`` and keep nothing, no checks, no writing."""
    began = time.perf_counter()
    with path.open("rb") as file:
        for line in file:
            json.loads(line)
    seconds = time.perf_counter() - began
    return {
        "what": "json.loads only",
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "mb_per_second": round(size / seconds / 1e6, 1),
    }


def benchmark(rows: int, form: str, folder: Path) -> dict[str, Any]:
    """Generate, then import, clean and split."""
    suffix = {"list": "json", "csv": "csv"}.get(form, "jsonl")
    source = folder / f"rows.{suffix}"
    generate(source, rows, form)
    size = source.stat().st_size
    lines = [measured("ingest", {"source": str(source), "output": str(folder / "ingested")}, rows, size)]
    ingested = folder / "ingested" / "rows.jsonl"
    lines.append(measured("clean", {"rows": str(ingested), "output": str(folder / "cleaned")}, rows, ingested.stat().st_size))
    cleaned = folder / "cleaned" / "rows.jsonl"
    outputs = {"train_output": str(folder / "train"), "validation_output": str(folder / "validation")}
    lines.append(measured("split", {"rows": str(cleaned), **outputs}, rows, cleaned.stat().st_size))
    if suffix == "jsonl":
        lines.append(standard_library(source, rows, size))
    return {"form": form, "rows": rows, "size_mb": round(size / 1e6, 1), "measurements": lines}


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    tell(f"{result['rows']:,} rows as {result['form']}, {result['size_mb']} MB")
    tell(f"{'':<18}{'rows/s':>10}{'MB/s':>9}{'seconds':>9}{'CPU s':>8}{'MB above start':>16}")
    for line in result["measurements"]:
        cpu, memory = line.get("cpu_seconds", ""), line.get("memory_mb", "")
        tell(f"{line['what']:<18}{line['rows_per_second']:>10,}{line['mb_per_second']:>9}{line['seconds']:>9}{cpu:>8}{memory:>16}")


def tell(line: str) -> None:
    """One line for people, beside the result."""
    print(line, file=sys.stderr, flush=True)


def add_options(options: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--form", choices=FORMS, default="lines")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bench-import-", dir=options.folder) as folder:
        result = benchmark(options.rows, options.form, Path(folder))
    show(result)
    return result


if __name__ == "__main__":
    run_stage(*sys.argv[1:])

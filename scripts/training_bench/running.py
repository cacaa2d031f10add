"""One run of one arm: a process of its own, from its settings to its result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.training_bench.arms import Arm
from scripts.training_bench.environments import NotThere, python_of
from scripts.training_bench.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
MEAN_ROW = 300
"""Tokens of a row, about; for how many packs make a step."""
LONGEST = 1500
"""Seconds after which a run is given up."""
QUIET = {"CI": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "DO_NOT_TRACK": "1"}
"""Nothing is fetched and nobody is told; the hub's check at every start would count against the peers."""


@dataclass
class Bench:
    """What all runs share."""

    shape: str
    cache: Path
    """Environments and material: kept."""
    work: Path
    """What runs write: gone afterwards."""
    steps: int
    step_rows: int
    max_length: int
    gpu: bool
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the arm's name, one for each run."""
    missing: dict[str, str] = field(default_factory=dict)
    """Arms that could not be run, with the reason."""

    @property
    def base(self) -> Path:
        """The base's folder."""
        return self.cache / "material" / self.shape / "base"

    def rows(self, count: int) -> Path:
        """The folder of so many rows, made when it is not there."""
        folder = self.base.parent
        place = folder / f"{count}-{self.step_rows}-{self.max_length}"
        if not (place / "ready").exists():
            make = [sys.executable, "-m", "scripts.training_bench.material", self.shape, str(folder)]
            subprocess.run([*make, str(count), str(self.step_rows), str(self.max_length)], check=True, env=_environment(), cwd=ROOT)
        return place

    def train(self, arm: Arm, **changes: Any) -> dict[str, Any] | None:
        """Run an arm and keep its result; None, and the reason kept, when it cannot be run."""
        begun = time.monotonic()
        try:
            found = self._run(arm, replace(self._settings(arm, self.steps * self.step_rows), **changes))
        except NotThere as reason:
            self.missing[arm.name] = str(reason)
            _say(arm, f"not measured: {reason}")
            return None
        found["wall"] = time.monotonic() - begun
        self.results.setdefault(arm.name, []).append(found)
        _say(arm, f"{speed([found]):.1f} useful tokens/s, {found['wall']:.0f} s in all")
        return found

    def start(self, arm: Arm, rows: int, *, first: bool) -> float | None:
        """Seconds from the start of an arm's process to its first forward pass; None when it cannot be run."""
        settings = self._settings(arm, rows)
        work = self.work / f"start-{arm.module}"
        options = settings.options | ({"cache": str(work / "cache")} if arm.module == "ours" else {})
        try:
            found = self._run(arm, replace(settings, steps=-(-rows // self.step_rows), work=str(work), start_only=True, options=options))
        except NotThere as reason:
            self.missing[f"{arm.name}, start"] = str(reason)
            _say(arm, f"start not measured: {reason}")
            return None
        _say(arm, f"{'first' if first else 'second'} start {found['start']:.2f} s")
        return float(found["start"])

    def _settings(self, arm: Arm, rows: int) -> Settings:
        place = self.rows(rows)
        own = arm.module == "ours"
        more: dict[str, Any] = {"cache": str(place / "cache")} if own else {}
        if arm.packs:
            more["packs_of_step"] = max(1, round(self.step_rows * MEAN_ROW / self.max_length))
        return Settings(
            base=str(self.base),
            rows=str(place / ("rows.jsonl" if own else "peers.jsonl")),
            work=str(self.work / "run"),
            result=str(self.work / "result.json"),
            steps=self.steps,
            step_rows=self.step_rows,
            max_length=self.max_length,
            gpu=self.gpu,
            options=arm.options | more,
        )

    def _run(self, arm: Arm, settings: Settings) -> dict[str, Any]:
        """Raises ``NotThere`` when there is no result."""
        result, log = Path(settings.result), self.work / f"{arm.module}.log"
        result.unlink(missing_ok=True)
        shutil.rmtree(self.work / "run", ignore_errors=True)
        for left in ("adapter", "checkpoints"):
            shutil.rmtree(Path(settings.work) / left, ignore_errors=True)
        Path(settings.work).mkdir(parents=True, exist_ok=True)
        command = [str(python_of(arm.environment, self.cache)), "-m", f"scripts.training_bench.{arm.module}", settings.as_json()]
        with log.open("wb") as file:
            try:
                subprocess.run(command, check=False, stdout=file, stderr=file, env=_environment(), cwd=ROOT, timeout=LONGEST)
            except subprocess.TimeoutExpired as error:
                raise NotThere(f"no end after {LONGEST} s") from error
        if not result.exists():
            lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
            raise NotThere((lines or ["no output"])[-1][:300])
        found: dict[str, Any] = json.loads(result.read_text("utf-8"))
        return found


def speed(runs: list[dict[str, Any]]) -> float:
    """Trained tokens per second over all runs, without each run's first step, in which everything is touched for the first time."""
    skip = 1 if all(len(run["seconds"]) > 1 for run in runs) else 0
    seconds = sum(sum(run["seconds"][skip:]) for run in runs)
    return float(sum(sum(run["trained"][skip:]) for run in runs) / seconds)


def _environment() -> dict[str, str]:
    return {**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}


def _say(arm: Arm, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {arm.name}: {text}", file=sys.stderr, flush=True)

"""``docker stop`` in every phase of the work: what was going on, how long the stop took, and whether the work came to the same end.

Each stop begins from a copy of one prepared volume, so that names, inputs and results are the same as in the run that was left in peace.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import demo
from appliance.domain.run import ENDED_STATES
from scripts.lockdown.box import PATIENCE, Box, owned

ROWS = 20_000
"""Of the file that is imported and cleaned: enough to be stopped in the middle."""
_SIZES = {
    "max_steps": 48, "epochs": 16, "max_length": 96, "batch_size": 4, "micro_batch_size": 4, "rank": 32, "eval_steps": 16, "save_steps": 4,
}  # fmt: skip
TRAINING = (
    *("--base", "base", "--dataset", "rows", "--name", "result", "--detach"),
    *(word for name, value in _SIZES.items() for word in ("--set", f"training.{name}={value}")),
)


MIDDLE = 0.7
"""Share of a phase's time in which the stop comes at any moment."""


@dataclass(frozen=True)
class Phase:
    """Something that a stop can come into."""

    name: str
    command: tuple[str, ...] = ()
    sign: str = ""
    """Pattern of a path on the volume that shows that the phase has begun."""
    delay: float | None = None
    """Up to so many seconds later the stop comes; None for a share of the time that the phase takes in peace."""
    makes: str = ""
    """``datasets`` or ``models``: where the result is listed, under this name; ``scores`` of an examination; empty for what is no run."""


PHASES = (
    Phase("idle", delay=1.0),
    Phase("import", ("datasets", "import", "/data/large.jsonl", "--name", "result", "--detach"), "runs/*/00-ingest.json", makes="datasets"),
    Phase("clean", ("datasets", "clean", "large", "--name", "result", "--detach"), "runs/*/00-clean.json", makes="datasets"),
    Phase("start of training", ("train", *TRAINING), "runs/*/*-train.json", 4.0, "models"),
    Phase("training", ("train", *TRAINING), "runs/*/checkpoints/step-*[0-9]", 2.0, "models"),
    Phase("writing a checkpoint", ("train", *TRAINING), "runs/*/checkpoints/*.partial", 0.001, "models"),
    Phase("export", ("export", "adapter", "--name", "result", "--detach"), "runs/*/00-export.json", makes="models"),
    Phase("evaluation", ("evaluate", "gguf", "--dataset", "rows", "--detach"), "runs/*/00-evaluate.json", makes="scores"),
    Phase("chat", ("chat", "gguf", "请把所有路口的配时方案都说一遍。"), "chat.log", 0.3),
    Phase("serving", ("serve", "gguf"), "serve/gguf.sock", 0.5),
)


@dataclass(frozen=True)
class Stop:
    """What one ``docker stop`` did."""

    phase: str
    seconds: float
    exit_code: int
    state: str = ""
    """Of the run right after the stop: interrupted, or done when it was quicker; empty where there was no run."""
    ended: str = ""
    """Of the run after the next start, which nobody asked to resume it."""
    same: bool = True
    """Whether its result is that of the run in peace."""
    fault: str = ""


class Stops:
    """Stops in all phases, each from the same beginning."""

    def __init__(self, image: str, options: Sequence[str], folder: Path, chance: random.Random) -> None:
        self._image, self._options, self._folder, self._chance = image, options, folder, chance
        self._peace: dict[tuple[str, ...], tuple[str, float]] = {}
        """By command: the result, and the seconds of the work."""

    def prepare(self) -> None:
        """One volume with a base, rows, an adapter and a model in llama.cpp's format."""
        home = owned(self._folder / "prepared")
        shutil.copytree(demo.base_folder(), home / "base")
        records = demo.records_file().read_text("utf-8").splitlines(keepends=True)
        (home / "records.jsonl").write_text("".join(records), "utf-8")
        numbered = (record.replace('": "', f'": "{number} ', 1) for number, record in enumerate(records * (ROWS // len(records))))
        (home / "large.jsonl").write_text("".join(numbered), "utf-8")
        owned(home)
        with self._box(home) as box:
            box.start()
            box.greenwave("models", "import", "/data/base", "--name", "base")
            box.greenwave("datasets", "import", "/data/records.jsonl", "--name", "records")
            box.greenwave("datasets", "redact", "records", "--name", "rows")
            box.greenwave("datasets", "import", "/data/large.jsonl", "--name", "large")
            box.greenwave("train", *(word.replace("result", "adapter") for word in TRAINING if word != "--detach"))
            box.greenwave("export", "adapter", "--name", "gguf")
            box.stop()

    def attack(self, phase: Phase) -> Stop:
        """Stop once in this phase, look, start again and wait for what the work comes to."""
        if phase.makes and phase.command not in self._peace:
            self._peace[phase.command] = self._in_peace(phase)
        peace, seconds_in_peace = self._peace.get(phase.command, ("", 0.0))
        home = self._copy()
        with self._box(home) as box:
            box.start()
            self._go_into(box, phase, seconds_in_peace * MIDDLE if phase.delay is None else phase.delay)
            seconds = box.stop()
            found = box.state()["State"]
            if found["OOMKilled"] or not phase.makes:
                return Stop(phase.name, seconds, found["ExitCode"], fault="out of memory" if found["OOMKilled"] else "")
            with self._box(home) as looking:
                state = self._state(json.loads(looking.run("runs", "list", "--limit", "1", "--json").stdout))
            box.restart()
            ended = self._wait(box)
            same = ended == "done" and self._result(box, phase) == peace
            return Stop(phase.name, seconds, found["ExitCode"], state, ended, same)

    def _go_into(self, box: Box, phase: Phase, delay: float) -> None:
        home = box.home
        assert home is not None
        before = {str(place) for place in home.glob(phase.sign)} if phase.sign else set()
        if phase.command:
            box.begin(*phase.command)
            _until(lambda: any(str(place) not in before for place in home.glob(phase.sign)), phase.name)
        else:
            box.greenwave("runs", "list")
        time.sleep(self._chance.uniform(0.0, delay))

    def _in_peace(self, phase: Phase) -> tuple[str, float]:
        with self._box(self._copy()) as box:
            box.start()
            box.greenwave(*phase.command)
            if self._wait(box) != "done":
                raise RuntimeError(f"{phase.name} does not work in peace either: {box.logs()}")
            (run,) = json.loads(box.greenwave("runs", "list", "--limit", "1", "--json"))
            return self._result(box, phase), run["stages"][-1]["ended"] - run["stages"][-1]["started"]

    def _wait(self, box: Box) -> str:
        """How the newest run ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            state = self._state(json.loads(box.greenwave("runs", "list", "--limit", "1", "--json")))
            if state in ENDED_STATES:
                return state
            time.sleep(0.5)
        raise TimeoutError(box.logs())

    def _result(self, box: Box, phase: Phase) -> str:
        """Hash of what was made, names and times left out."""
        assert box.home is not None
        if phase.makes == "scores":
            scores = json.loads(box.greenwave("models", "show", "gguf", "--json"))["scores"]
            return json.dumps({name: value for name, value in sorted(scores.items()) if "second" not in name})
        made = json.loads(box.greenwave(phase.makes, "show", "result", "--json"))
        place = box.home / Path(made["path"]).relative_to("/data")
        (main,) = [place] if place.is_file() else [*place.glob("rows.jsonl"), *place.glob("*.safetensors")]
        return hashlib.sha256(main.read_bytes()).hexdigest()

    def _copy(self) -> Path:
        home = self._folder / "attacked"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self._folder / "prepared", home)
        return owned(home)

    def _box(self, home: Path) -> Box:
        return Box(self._image, home, self._options)

    @staticmethod
    def _state(runs: list[dict[str, Any]]) -> str:
        return str(runs[0]["state"])


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)

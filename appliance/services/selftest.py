"""The self-test: the life of a model on a temporary home, observed, and a sheet of what was found that a person can sign.

The stages, the conductor and the server are those of any other run; only the home is another one, and the training ends after two steps.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance import demo
from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from appliance.domain.run import Run
from appliance.files.checksum import file_sha256
from appliance.processes.locks import is_held, try_lock
from appliance.services.chat import Sampling, open_chat
from appliance.services.demo import demo_question
from appliance.services.doctor import Check, glance_at_box
from appliance.services.provenance import FileCheck, check_files, program_checksums, versions
from appliance.services.recipes import compose_recipe
from appliance.services.silence import Observation, Observer, witnessed_children
from appliance.services.workbench import Workbench

STEPS = 2
PREFIX = "selftest-"
_ANSWER = Sampling(temperature=0.0, top_p=1.0, max_tokens=48)
_STEP_METRIC = "loss"


class Journey(msgspec.Struct, kw_only=True):
    """What the model's life came to; ``failure`` is an error's code and parameters when it ended early."""

    seconds: dict[str, float] = {}
    """Per stage, and ``chat`` from the start of the server to the last word."""
    losses: tuple[float, ...] = ()
    """One per training step."""
    seconds_per_step: float | None = None
    peak_memory: int = 0
    """Largest resident set of any process, in bytes."""
    gguf_sha256: str = ""
    gguf_size: int = 0
    answer: str = ""
    tokens_per_second: float = 0.0
    failure: dict[str, Any] | None = None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the self-test found."""

    begun: float
    """Seconds since 1970."""
    seconds: float
    versions: dict[str, str]
    checksums: dict[str, str]
    checks: tuple[Check, ...]
    journey: Journey
    network: Observation

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.state != "failed" for check in self.checks)


def run_selftest(home: Home, tell: Callable[[str], None] = lambda _part: None) -> Sheet:
    """Do it; ``tell`` hears the name of each part as it begins (a key of ``labels`` with ``selftest_`` before it).

    Whatever fails is a failed check on the sheet. Raises only when there is no place to work in. For the main thread of a process that
    does nothing else meanwhile.
    """
    begun = time.time()
    with _temporary_home(home) as (root, person):
        tell("files")
        files, facts, checksums = check_files(), versions(), program_checksums()
        box = [check for check in glance_at_box(home) if check.name != "network"]
        tell("journey")
        record = root / "network.log"
        with witnessed_children(record, person), Observer(record) as observer:
            journey = _live(Home(root / "home"), tell)
        network = observer.observation
        assert network is not None
        traces = tuple(sorted(path.relative_to(person).as_posix() for path in person.rglob("*") if not path.is_dir()))
    checks = [_files_check(files), *box, *_journey_checks(journey), *_network_checks(network), _traces_check(traces)]
    return Sheet(
        begun=begun,
        seconds=round(time.time() - begun, 1),
        versions=facts,
        checksums=checksums,
        checks=tuple(checks),
        journey=journey,
        network=network,
    )


@contextmanager
def _temporary_home(home: Home) -> Iterator[tuple[Path, Path]]:
    """A folder on the volume where the work will be, and in it the empty folders of a person; both gone afterwards.

    What a killed self-test left is removed on the way.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        for left in home.root.glob(f"{PREFIX}*"):
            if not is_held(left / "lock"):
                shutil.rmtree(left, ignore_errors=True)
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home.root))
    except OSError as error:
        raise ApplianceError("selftest_no_place", path=str(home.root), reason=error.strerror or str(error)) from error
    lock = try_lock(root / "lock")
    try:
        (root / "person").mkdir()
        yield root, root / "person"
    finally:
        shutil.rmtree(root, ignore_errors=True)
        if lock is not None:
            lock.release()


def _live(home: Home, tell: Callable[[str], None]) -> Journey:
    journey = Journey()
    try:
        workbench = Workbench(home)
        try:
            ended = workbench.runs.wait(_start(workbench).id)
            _measure(workbench, ended, journey)
            if ended.state == "done":
                tell("chat")
                _chat(workbench, journey)
            else:
                journey.failure = dict(ended.failure) or {"code": "run_interrupted", "parameters": {"run": ended.id}}
        finally:
            workbench.close()
    except ApplianceError as error:
        journey.failure = {"code": error.code, "parameters": msgspec.to_builtins(error.parameters, enc_hook=str)}
    return journey


def _start(workbench: Workbench) -> Run:
    recipe = compose_recipe(file=demo.recipe_file(), assignments=(f"training.max_steps={STEPS}",))
    run_id, plan = workbench.runs.new_plan()
    base = plan.adopt(demo.base_folder(), "base")
    records = plan.ingest(demo.records_file(), "records")
    rows = plan.redact(records, "rows", recipe.redaction)
    tuned = plan.train(base, rows, None, "tuned", recipe.training)
    plan.export(tuned, "model", recipe.export)
    return workbench.runs.start(run_id, "selftest", plan, recipe)


def _measure(workbench: Workbench, run: Run, journey: Journey) -> None:
    stages = [record for record in workbench.runs.stages(run.id) if record.started is not None and record.ended is not None]
    journey.seconds = {record.stage: round((record.ended or 0.0) - (record.started or 0.0), 2) for record in stages}
    journey.peak_memory = max((record.peak_memory for record in stages), default=0)
    for curve in workbench.runs.curves(run.id):
        if curve.name == _STEP_METRIC:
            journey.losses = tuple(value for _, value in curve.points)
    for model in workbench.models.made_by(run.id):
        if model.kind == "adapter":
            journey.seconds_per_step = round(model.facts["seconds"] / max(1, model.facts["steps"]), 3)
        elif model.kind == "gguf":
            journey.gguf_sha256, journey.gguf_size = model.sha256, model.size


def _chat(workbench: Workbench, journey: Journey) -> None:
    began = time.monotonic()
    model = workbench.models.get_servable("model")
    with open_chat(workbench, model.name) as client:
        answer = client.chat([Message("user", demo_question())], _ANSWER)
    journey.seconds["chat"] = round(time.monotonic() - began, 2)
    journey.answer, journey.tokens_per_second = answer.text, round(answer.tokens_per_second, 1)
    if file_sha256(Path(model.path)) != journey.gguf_sha256:
        raise ApplianceError("model_altered", name=model.name, expected=journey.gguf_sha256, found=file_sha256(Path(model.path)))


def _files_check(found: FileCheck) -> Check:
    facts: dict[str, Any] = {"libraries": found.libraries, "files": found.files, "size": found.size, "missing": found.missing}
    if found.altered:
        return Check("files", "failed", "files_altered", {**facts, "count": len(found.altered), "names": ", ".join(found.altered[:5])})
    return Check("files", "ok", "files_as_installed", facts)


def _journey_checks(journey: Journey) -> Iterator[Check]:
    if journey.failure is not None:
        yield Check("journey", "failed", "journey_failed", {"done": ", ".join(journey.seconds) or "-", "failure": journey.failure})
        return
    learned = len(journey.losses) == STEPS and all(math.isfinite(loss) and loss > 0 for loss in journey.losses)
    shown = {"steps": len(journey.losses), "losses": " → ".join(f"{loss:.3f}" for loss in journey.losses)}
    yield Check("training", "ok" if learned else "failed", "training_steps" if learned else "training_wrong", shown)
    yield Check("export", "ok", "export_whole", {"size": journey.gguf_size, "sha256": journey.gguf_sha256})
    answered = bool(journey.answer.strip())
    told = {"answer": journey.answer.strip(), "speed": journey.tokens_per_second}
    yield Check("chat", "ok" if answered else "failed", "chat_answered" if answered else "chat_silent", told)


def _network_checks(found: Observation) -> Iterator[Check]:
    """Every observer by itself; counters of a machine that has a network count others, too, and so prove nothing of us."""
    told: dict[str, Any] = {"processes": found.processes, "count": len(found.attempts), "names": "; ".join(found.attempts[:5])}
    yield Check("attempts", "failed" if found.attempts else "ok", "attempts_seen" if found.attempts else "attempts_none", told)
    held = {"looks": found.looks, "names": "; ".join(found.connections[:5])}
    yield Check(
        "connections", "failed" if found.connections else "ok", "connections_seen" if found.connections else "connections_none", held
    )
    counted = {"sent": found.sent, "received": found.received, "refused": found.refused, "interfaces": ", ".join(found.interfaces) or "-"}
    if found.interfaces:
        yield Check("kernel", "warning", "kernel_counts_others", counted)
    else:
        yield Check("kernel", "failed" if found.refused else "ok", "kernel_refused" if found.refused else "kernel_silent", counted)
    names = "; ".join(found.unprepared[:3])
    told = {"processes": found.processes, "count": len(found.unprepared), "names": names}
    yield Check("switches", "failed" if names else "ok", "switches_lacking" if names else "switches_everywhere", told)


def _traces_check(traces: tuple[str, ...]) -> Check:
    if traces:
        return Check("traces", "failed", "traces_left", {"count": len(traces), "names": ", ".join(traces[:5])})
    return Check("traces", "ok", "traces_none")

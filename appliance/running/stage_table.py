"""Which stages there are: their names as strings, so that nothing heavy is imported by those who only start them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from appliance.domain import preview, spec


@dataclass(frozen=True)
class StageEntry:
    """One stage."""

    module: str
    """Module with ``run(spec, emit)``."""
    spec: type[spec.Spec]
    heavy: bool = False
    """Uses so much memory or GPU that only one such stage may run at a time."""


STAGES: dict[str, StageEntry] = {
    "adopt": StageEntry("appliance.stages.adopt", spec.AdoptSpec),
    "ingest": StageEntry("appliance.stages.ingest", spec.IngestSpec),
    "look": StageEntry("appliance.stages.ingest.looking", spec.LookSpec),
    "clean": StageEntry("appliance.stages.clean", spec.CleanSpec),
    "group": StageEntry("appliance.stages.group", spec.GroupSpec),
    "redact": StageEntry("appliance.stages.redact", spec.RedactSpec),
    "split": StageEntry("appliance.stages.split", spec.SplitSpec),
    "mix": StageEntry("appliance.stages.mix", spec.MixSpec),
    "describe": StageEntry("appliance.stages.describe", spec.DescribeSpec),
    "train": StageEntry("appliance.stages.train", spec.TrainSpec, heavy=True),
    "evaluate": StageEntry("appliance.stages.evaluate", spec.EvaluateSpec, heavy=True),
    "estimate": StageEntry("appliance.stages.estimate", spec.EstimateSpec),
    "probe": StageEntry("appliance.stages.probe", spec.ProbeSpec),
    "export": StageEntry("appliance.stages.export", spec.ExportSpec, heavy=True),
}


@dataclass(frozen=True)
class AnswererEntry:
    """One kind of question that a process which stays answers, see ``running/answerer.py``."""

    module: str
    """Module with ``answer(question)``."""
    question: type[msgspec.Struct]
    answer: type[msgspec.Struct]


ANSWERERS: dict[str, AnswererEntry] = {
    "tokens": AnswererEntry("appliance.stages.preview", preview.TokenQuestion, preview.TokenPreview),
}

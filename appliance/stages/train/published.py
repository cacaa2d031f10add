"""The result: a folder that peft or transformers loads, with the tokenizer it was trained with and the story of its training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.event import Artifact
from appliance.domain.plan import TrainingPlan
from appliance.files.checksum import folder_manifest, manifest_sha256, size_of
from appliance.files.publish import published_folder
from appliance.stages.language_model.loading import parameter_counts
from appliance.stages.language_model.tokenizer import TOKENIZER_FILE
from appliance.stages.train.loop import Trainer
from appliance.stages.train.order import packs_rows
from appliance.stages.train.reporting import memory_in_use, peak_memory
from appliance.stages.train.vocabulary import Expansion

TRAINING_FILE = "training.json"
CURVE_POINTS = 200
_LAST_STEPS = 10
"""Over which the final loss is averaged."""

_WORDS = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "chat_template.jinja", "tokenizer.model",
)  # fmt: skip
"""Files of a base that say how text becomes tokens; those that are there are copied as they are."""

_OLD_WORDS = ("added_tokens.json", "vocab.json", "merges.txt")
"""Older forms of the same, which would say something else once words were added."""

_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes")


def publish_result(
    trainer: Trainer,
    base: Path,
    output: Path,
    plan: TrainingPlan,
    expansion: Expansion | None = None,
    without_redaction: Sequence[str] = (),
) -> Artifact:
    """Write the folder of the adapter or of the whole model, and describe it."""
    facts = _facts(trainer) | {"planned_memory": plan.memory.total, "blocks_recomputed": plan.recomputed}
    facts |= expansion.facts() if expansion else {}
    facts["without_redaction"] = list(without_redaction)
    with published_folder(output) as folder:
        trainer.learner.publish(folder, base)
        for name in _WORDS:
            if (base / name).is_file() and not (expansion and name in _OLD_WORDS):
                shutil.copyfile(base / name, folder / name)
        if expansion:
            expansion.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER_FILE))
        story = {
            "recipe": trainer.recipe,
            "facts": facts,
            "plan": plan,
            "history": trainer.history,
            "libraries": {library: version(library) for library in _LIBRARIES},
        }
        (folder / TRAINING_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(story), indent=1))
    manifest = folder_manifest(output)
    role = "merged" if trainer.learner.method.whole_model else "adapter"
    return Artifact(role=role, path=str(output), sha256=manifest_sha256(manifest), size=size_of(output), facts=facts)


def _facts(trainer: Trainer) -> dict[str, Any]:
    history, rows = trainer.history, trainer.mixture.own
    last = history.steps[-_LAST_STEPS:]
    losses = {record.step: record.loss for record in history.validations}
    best = min(history.validations, key=lambda record: record.loss, default=None)
    trained, total = parameter_counts(trainer.learner.model)
    tokens, trained_tokens = (sum(getattr(step, name) for step in history.steps) for name in ("tokens", "trained_tokens"))
    return {
        "method": trainer.learner.method.name,
        "objective": trainer.recipe.objective,
        "steps": history.step,
        "epochs": round(history.step / trainer.order.steps_per_epoch, 3),
        "rows": len(rows),
        "rows_left_out": rows.left_out,
        "rows_cut": rows.cut,
        "mixed": trainer.mixture.facts(),
        "packed": packs_rows(trainer.recipe),
        "tokens": tokens,
        "trained_tokens": trained_tokens,
        "final_loss": round(sum(record.loss for record in last) / len(last), 5),
        "best_validation_loss": best.loss if best else None,
        "best_step": best.step if best else None,
        "validation_loss": losses.get(trainer.published_step),
        "published_step": trainer.published_step,
        "stopped_early": history.step < trainer.total_steps,
        "loss_curve": history.curve(CURVE_POINTS),
        **last[-1].measures,
        **_general(trainer),
        "seconds": round(history.seconds, 3),
        "tokens_per_second": round(tokens / history.seconds, 1),
        "trained_tokens_per_second": round(trained_tokens / history.seconds, 1),
        "peak_memory": peak_memory(),
        "gpu_peak_memory": memory_in_use(trainer.device).get("gpu_memory_peak"),
        "device": trainer.device.name,
        "compute_dtype": trainer.device.dtype_name,
        "trainable_parameters": trained,
        "trainable_share": round(trained / total, 6),
    }


def _general(trainer: Trainer) -> dict[str, float]:
    """The loss on general rows before the first step and with the published weights."""
    losses = {record.step: record.loss for record in trainer.history.general}
    if trainer.published_step not in losses:
        return {}
    return {"general_loss_before": losses[0], "general_loss": losses[trainer.published_step]}

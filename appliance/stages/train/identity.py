"""What a checkpoint belongs to: a run goes on only from a checkpoint of the same base, rows, recipe and optimizer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from appliance.domain.spec import TrainSpec
from appliance.files.checksum import file_sha256
from appliance.stages.language_model.device import Device
from appliance.stages.train.optimizer import optimizer_kind

_WORDS = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def identity_of(spec: TrainSpec, device: Device) -> str:
    """A checksum of all that decides what a training run does, save for the weights themselves, of which only the sizes count.

    Of the device it is the optimizer that counts: the state of a GPU's is another one's. General rows are trained in no step, but what was
    measured on others before would be compared with them.
    """
    base = Path(spec.base)
    decisive = {
        "recipe": msgspec.to_builtins(spec.recipe),
        "rows": file_sha256(Path(spec.train_rows)),
        "mixed": [(file_sha256(Path(mixed.rows)), mixed.share) for mixed in spec.mixed],
        "validation": file_sha256(Path(spec.validation_rows)) if spec.validation_rows else "",
        "general": file_sha256(Path(spec.general_rows)) if spec.general_rows else "",
        "optimizer": optimizer_kind(device),
        "terms": spec.terms,
        "words": {name: file_sha256(base / name) for name in _WORDS if (base / name).is_file()},
        "weights": {path.name: path.stat().st_size for path in sorted(base.glob("*.safetensors"))},
    }
    return hashlib.sha256(msgspec.json.encode(decisive, order="deterministic")).hexdigest()

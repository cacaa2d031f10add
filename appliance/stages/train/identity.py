"""What a checkpoint belongs to: a run goes on only from a checkpoint of the same base, rows and recipe."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from appliance.domain.spec import TrainSpec
from appliance.files.checksum import file_sha256

_WORDS = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def identity_of(spec: TrainSpec) -> str:
    """A checksum of all that decides what a training run does, save for the weights themselves, of which only the sizes count."""
    base = Path(spec.base)
    decisive = {
        "recipe": msgspec.to_builtins(spec.recipe),
        "rows": file_sha256(Path(spec.train_rows)),
        "mixed": [(file_sha256(Path(mixed.rows)), mixed.share) for mixed in spec.mixed],
        "validation": file_sha256(Path(spec.validation_rows)) if spec.validation_rows else "",
        "terms": spec.terms,
        "words": {name: file_sha256(base / name) for name in _WORDS if (base / name).is_file()},
        "weights": {path.name: path.stat().st_size for path in sorted(base.glob("*.safetensors"))},
    }
    return hashlib.sha256(msgspec.json.encode(decisive, order="deterministic")).hexdigest()

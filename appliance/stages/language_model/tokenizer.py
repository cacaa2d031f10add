"""The tokenizer of a base, without the base: no torch, so that looking at tokens is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.stages.language_model.lean_names import PreTrainedTokenizerFast

TOKENIZER_FILE = "tokenizer.json"


def load_tokenizer(folder: Path) -> Any:
    """The base's tokenizer as ``tokenizer.json`` defines it, without the truncation and padding that it may have been saved with.

    Not ``AutoTokenizer``: since version 5 its class for Llama builds a tokenizer of its own from the vocabulary and puts spaces elsewhere.
    """
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        backend = tokenizer.backend_tokenizer
    except Exception as error:  # the tokenizer's reader raises a bare Exception for a broken file
        raise ApplianceError("tokenizer_unreadable", path=str(folder), reason=str(error)[:200]) from error
    backend.no_truncation()
    backend.no_padding()
    return tokenizer


def tokenizer_folder(base: Path, adapter: Path | None) -> Path:
    """Where the tokenizer lies that a model was trained with: an adapter brings its own."""
    return adapter if adapter is not None and (adapter / TOKENIZER_FILE).is_file() else base

"""How soon an arm's first forward pass begins; imports nothing that the arm does not need itself."""

from __future__ import annotations

import json
import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "trl", "datasets", "accelerate", "llamafactory", "unsloth")


def stop_at_first_forward(result: Path) -> None:
    """End this process when the first module of a model is called, and write down how long after its start that was."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    def stop(*_arguments: Any) -> None:
        seconds = time.time() - psutil.Process().create_time()
        result.write_text(json.dumps({"start": seconds, "versions": versions()}), "utf-8")
        os._exit(0)

    register_module_forward_pre_hook(stop)


def versions() -> dict[str, str]:
    """Of the libraries that are there."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""The switches that keep libraries from looking at the network; set for every process that the appliance starts."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

OFFLINE_SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LLAMA_ARG_OFFLINE": "1",
    # onnxruntime 1.29 and newer send telemetry on Linux unless this is set before the import.
    "ORT_DISABLE_TELEMETRY": "1",
    # llama.cpp would start a debugger to print a backtrace when a file makes it abort.
    "GGML_NO_BACKTRACE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def go_offline(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set every switch, whatever it was before."""
    environment.update(OFFLINE_SWITCHES)

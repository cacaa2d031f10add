#!/usr/bin/env python3
"""Loads every library that carries compiled code, and llama.cpp: a wheel that is too new for the base fails here, not at the customer's.

Runs in the build of the image.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import sysconfig
from pathlib import Path

LIBRARIES = (
    "ahocorasick_rs", "arro3.io", "bitsandbytes", "llama_cpp", "msgspec", "numba", "numpy", "peft", "psutil", "pypdfium2", "pysqlite3",
    "python_calamine", "safetensors", "tokenizers", "torch", "transformers", "yaml",
)  # fmt: skip


def main() -> int:
    """0 when all could be loaded; else one line for each that could not."""
    sys.dont_write_bytecode = True
    broken = {name: reason for name in LIBRARIES if (reason := why_not(name))}
    programs = Path(sysconfig.get_path("purelib")) / "llama_cpp" / "bin"
    try:
        subprocess.run([programs / "llama-server", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        broken["llama-server"] = str(error)
    for name, reason in broken.items():
        sys.stderr.write(f"{name} cannot be used on this base: {reason}\n")
    return 1 if broken else 0


def why_not(name: str) -> str:
    """Why a module cannot be imported; nothing when it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Takes out of the installed libraries what the appliance never uses: tests, headers, and the builds of bitsandbytes for other devices.

Runs in the build of the image; the argument is cpu or cuda.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

USELESS = (
    "include",  # llama.cpp's headers
    "llama_cpp/lib/cmake",
    "llama_cpp/lib/libggml-cuda.so",  # llama.cpp loads the one beside its programs
    "llama_cpp/lib/pkgconfig",
    "numba/**/tests",
    "numpy/**/tests",
    "mpmath/tests",
    "networkx/**/tests",
    "sympy/**/tests",
    "torch/bin/*test*",
    "torch/bin/*.pt*",
    "torch/bin/protoc*",
    "torch/bin/upgrader_models",
    "torch/include",
    "torch/lib/*test*",
    "torch/share",
    "torch/test",
    "nvidia/**/include",
    "nvidia/**/*.a",
    "nvidia/**/cmake",
)
"""Patterns below site-packages."""
NEEDED_BUILDS = {"cpu": {"cpu"}, "cuda": {"cpu", "cuda130"}}
"""Of bitsandbytes: one library per device and its version."""


def main(kind: str) -> int:
    """Trim; 0 when it is done."""
    site = Path(sysconfig.get_path("purelib"))
    for pattern in USELESS:
        for path in sorted(site.glob(pattern)):
            remove(path)
    for library in sorted((site / "bitsandbytes").glob("libbitsandbytes_*.so")):
        if library.stem.removeprefix("libbitsandbytes_") not in NEEDED_BUILDS[kind]:
            library.unlink()
    return 0


def remove(path: Path) -> None:
    """A file or a whole folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

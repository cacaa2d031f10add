"""llama.cpp's arithmetic for the processor at hand, loaded into this process.

The llama.cpp wheel carries one library per instruction set (``llama_cpp/bin/libggml-cpu-*.so``), so that it runs on any processor and is
fast on each. llama.cpp's own programs find these beside themselves; a Python process has to load them before its first model.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import llama_cpp


@cache
def load_backends(folder: Path | None = None) -> None:
    """Load the best library that the processor can run from the folder, by default the wheel's own.

    Does nothing where a wheel has its arithmetic built in. Without any library llama.cpp refuses every model, which its callers tell.
    """
    package = Path(llama_cpp.__file__).parent
    ggml = ctypes.CDLL(str(package / "lib" / "libggml.so"))
    # ggml-backend.h: void ggml_backend_load_all_from_path(const char * dir_path)
    ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load_all_from_path.restype = None
    ggml.ggml_backend_load_all_from_path(str(folder or package / "bin").encode())

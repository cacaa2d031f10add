"""Where the machine code of the fast quantizer is kept between runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from appliance.stages.compiled_code import use_cache_for


@cache
def cache_folder() -> Path | None:
    """The folder for compiled code, told to numba; None where there is no folder to write to, so that each process compiles anew."""
    return use_cache_for(Path(__file__).parent)

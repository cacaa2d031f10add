"""bitsandbytes without torch's compiler: import this before anything that imports bitsandbytes, as peft does.

bitsandbytes 0.50 hands four functions of its 8-bit arithmetic, which is not used here, to ``torch.compile`` when it is imported. That alone
imports the compiler, some 550 modules and a fifth of the time until a training starts. Here those four stay as they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def _compiling_nothing() -> Iterator[None]:
    compile_with_torch = torch.compile
    setattr(torch, "compile", _as_written)  # noqa: B010  # an assignment would have to be of the same type
    try:
        yield
    finally:
        setattr(torch, "compile", compile_with_torch)  # noqa: B010  # likewise


def _as_written(function: Callable[..., Any] | None = None, **_choices: Any) -> Any:
    """What ``torch.compile`` gives, used bare or with choices, but for the compiling."""
    return function if function is not None else lambda later: later


with _compiling_nothing():
    import bitsandbytes

__all__ = ["bitsandbytes"]

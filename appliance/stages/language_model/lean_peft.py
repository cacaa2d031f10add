"""peft without torch's compiler: import this before anything that imports peft."""

from __future__ import annotations

from appliance.stages.language_model import (
    lean_bitsandbytes,  # noqa: F401  # before peft
    lean_transformers,  # noqa: F401  # likewise
)
from appliance.stages.language_model.lean import lean_import

with lean_import():
    import peft

__all__ = ["peft"]

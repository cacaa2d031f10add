"""Whether a start that lasts, of the terminal UI or of the container, goes on with what was interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping

RESUME_VARIABLE = "GREENWAVE_RESUME"
"""Set to ``no``, it leaves interrupted runs to a person's decision."""


def resumes_at_start(environment: Mapping[str, str] = os.environ) -> bool:
    """Yes, unless switched off."""
    return environment.get(RESUME_VARIABLE, "").lower() not in ("no", "off", "false", "0")

"""The self-test in a process of its own, for front ends that go on meanwhile: it has to be alone in its process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from appliance.processes.child import spawn

_LOOK_EVERY = 0.3
"""Seconds."""


def selftest_apart(home: Home, tell: Callable[[str], None], is_over: Callable[[], bool] = lambda: False) -> Path | None:
    """Where the sheet was written, passed or not; ``tell`` hears everything said so far whenever there is more.

    None when ``is_over`` ended it early. Raises ``selftest_no_place``, or how the process ended when there is no sheet.
    """
    begun = time.strftime("%Y%m%d-%H%M%S")
    sheet, log = home.sheets / f"{begun}.txt", home.sheets / f"{begun}.log"
    try:
        home.sheets.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ApplianceError("selftest_no_place", path=str(home.sheets), reason=error.strerror or str(error)) from error
    command = [sys.executable, "-m", "appliance.entry", "selftest", "--output", str(sheet)]
    with spawn(command, log=log, stdout="null", env={**os.environ, "GREENWAVE_HOME": str(home.root)}) as child:
        heard = ""
        while (ending := child.poll()) is None:
            if is_over():
                return None
            time.sleep(_LOOK_EVERY)
            heard, before = log.read_text("utf-8", "replace"), heard
            if heard != before:
                tell(heard)
    if not sheet.is_file():
        raise ending.error()
    return sheet

"""``greenwave datasets export --rejected``: the rows that were not accepted, for somebody to mend."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.cli.output import narrate, print_json_lines
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.services.rejections import whole_rejections
from appliance.services.workbench import Workbench
from appliance.texts.speech import say


def write_rejections(workbench: Workbench, dataset: str, target: Path | None) -> None:
    """As JSON lines, into a new file or to standard output. Raises ``target_exists`` or ``target_not_writable``."""
    records = whole_rejections(workbench.datasets, dataset)
    if target is None:
        print_json_lines(records)
        return
    workbench.datasets.get(dataset)
    count = 0
    try:
        with target.open("xb") as file:
            try:
                for record in records:
                    file.write(msgspec.json.encode(record) + b"\n")
                    count += 1
            except BaseException:
                target.unlink()
                raise
    except FileExistsError:
        raise ApplianceError("target_exists", ExitCode.USAGE, path=str(target)) from None
    except OSError as error:
        raise ApplianceError("target_not_writable", ExitCode.USAGE, path=str(target), reason=error.strerror or "") from error
    narrate(say("notices", "rejected_written", count=count, path=str(target)))

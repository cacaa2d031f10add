"""``greenwave doctor``: is this machine fit?"""

from __future__ import annotations

from dataclasses import asdict

import click

from appliance.cli.options import json_option
from appliance.cli.output import print_json, print_line
from appliance.cli.wording import label, told
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.services.doctor import Check, examine_box
from appliance.services.workbench import find_home
from appliance.texts.speech import explain_check, say

_MARKS = {"ok": "✔", "warning": "!", "failed": "✘"}


@click.command("doctor", help=told("doctor"))
@json_option
def command(as_json: bool) -> None:
    """Print every check with its hint; end with 4 if one says that this machine is not fit."""
    checks = []
    for check in examine_box(find_home()):
        checks.append(check)
        if not as_json:
            _show(check)
    failed = [check.name for check in checks if check.state == "failed"]
    if as_json:
        print_json({"fit": not failed, "checks": [{**asdict(check), **_words(check)} for check in checks]})
    if failed:
        raise ApplianceError("box_not_fit", ExitCode.NO_ROOM, checks=", ".join(say("labels", f"check_name_{name}") for name in failed))


def _show(check: Check) -> None:
    words = _words(check)
    print_line(f"{_MARKS[check.state]} {label(f'check_name_{check.name}')}: {words['message']}")
    if check.state != "ok" and words["hint"]:
        print_line(f"    {label('hint')}: {words['hint']}")


def _words(check: Check) -> dict[str, str]:
    return dict(zip(("message", "hint"), explain_check(check.code, check.parameters), strict=True))

"""``greenwave selftest``: a model's life in a few seconds, observed, and a sheet about it that can be signed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from appliance.cli.options import json_option
from appliance.cli.output import narrate, print_json
from appliance.cli.wording import label, told
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.files.publish import published_file
from appliance.services.doctor import Check
from appliance.services.selftest import Sheet, run_selftest
from appliance.services.workbench import find_home
from appliance.texts.foreign import printable_lines
from appliance.texts.speech import explain_check, explain_code, human_bytes, human_duration, say

_MARKS = {"ok": "✔", "warning": "!", "failed": "✘"}
_NOT_OBSERVED = ("not_observed_native", "not_observed_others", "not_observed_before", "not_observed_ipv6")
_LONGEST_REASON = 500
"""Characters: a reason may quote a log."""
_BLANK = "_" * 28


@click.command("selftest", help=told("selftest"))
@json_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help=told("option.sheet"))
def command(as_json: bool, output: Path | None) -> None:
    """Run it and print the sheet; end with 1 if a check failed."""
    sheet = run_selftest(find_home(), lambda part: narrate(f"▸ {say('labels', f'selftest_{part}')} …"))
    text = printable_lines("\n".join(sheet_lines(sheet)) + "\n")
    if as_json:
        print_json({"passed": sheet.passed, **msgspec.to_builtins(sheet), "checks": [_as_object(check) for check in sheet.checks]})
    else:
        click.echo(text, nl=False)
    if output is not None:
        with published_file(output) as partial:
            partial.write_text(text, "utf-8")
        narrate(say("notices", "sheet_written", path=str(output), sha256=hashlib.sha256(text.encode()).hexdigest()))
    failed = [label(f"check_name_{check.name}") for check in sheet.checks if check.state == "failed"]
    if failed:
        raise ApplianceError("selftest_failed", ExitCode.RUN_FAILED, checks=", ".join(failed))


def sheet_lines(sheet: Sheet) -> Iterator[str]:
    """The sheet as it is printed: what was tested, what was found, what nobody looked at, and room for a signature."""
    begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(sheet.begun))
    yield from (label("sheet_title"), "")
    result = label("sheet_passed" if sheet.passed else "sheet_failed")
    yield from _facts({label("sheet_begun"): begun, label("duration"): human_duration(sheet.seconds), label("sheet_result"): result})
    yield from _section("sheet_versions", _facts(sheet.versions))
    yield from _section("sheet_checksums", _facts(sheet.checksums))
    yield from _section("sheet_checks", (line for check in sheet.checks for line in _check_lines(check)))
    yield from _section("sheet_figures", _facts(_figures(sheet)))
    yield from _section("sheet_network", _facts(_observed(sheet)))
    yield from _section("sheet_not_observed", (f"· {say('notices', part)}" for part in _NOT_OBSERVED))
    places = ("sheet_place", "sheet_name", "sheet_date", "sheet_signature")
    yield from _section("sheet_signed", (line for place in places for line in ("", f"{label(place)}: {_BLANK}")))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", label(title))
    yield from (f"  {line}" if line else "" for line in lines)


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    from rich.cells import cell_len

    width = max(map(cell_len, facts), default=0)
    for name, value in facts.items():
        yield f"{name}{' ' * (width - cell_len(name))}  {value}"


def _check_lines(check: Check) -> Iterator[str]:
    words = _words(check)
    yield f"{_MARKS[check.state]} {label(f'check_name_{check.name}')}: {words['message']}"
    if check.state != "ok" and words["hint"]:
        yield f"    {label('hint')}: {words['hint']}"


def _words(check: Check) -> dict[str, str]:
    parameters = dict(check.parameters)
    if failure := parameters.pop("failure", None):
        reason = explain_code(failure["code"], failure.get("parameters", {}))
        parameters["reason"] = " ".join(reason)[:_LONGEST_REASON].replace("\n", " ")
    return dict(zip(("message", "hint"), explain_check(check.code, parameters), strict=True))


def _as_object(check: Check) -> dict[str, object]:
    return {**asdict(check), **_words(check)}


def _figures(sheet: Sheet) -> dict[str, str]:
    journey = sheet.journey
    found = {say("stages", stage): human_duration(seconds) for stage, seconds in journey.seconds.items()}
    if journey.seconds_per_step is not None:
        found[label("seconds_per_step")] = f"{journey.seconds_per_step:.3f}"
    return found | {label("memory"): human_bytes(journey.peak_memory)}


def _observed(sheet: Sheet) -> dict[str, str]:
    seen = sheet.network
    return {
        label("network_interfaces"): ", ".join(seen.interfaces) or label("none"),
        label("network_sent"): f"{seen.sent} / {seen.received}",
        label("network_refused"): str(seen.refused),
        label("network_watched"): str(seen.processes),
        label("network_attempts"): str(len(seen.attempts)),
        label("network_looks"): f"{seen.looks} / {len(seen.connections)}",
    }

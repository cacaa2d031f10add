"""What commands print: data on standard output, narration on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from appliance.cli.wording import label
from appliance.domain.errors import ApplianceError
from appliance.texts.foreign import escaped_json, printable, printable_lines
from appliance.texts.speech import explain, explain_code


def print_json(value: Any) -> None:
    """One JSON document, readable."""
    click.echo(escaped_json(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()))


def print_json_lines(values: Iterable[Any]) -> None:
    """One JSON document per line, as they come; a program gets the bytes as they are, a terminal gets them escaped."""
    on_screen = sys.stdout.isatty()
    for value in values:
        line = msgspec.json.encode(value, enc_hook=str)
        click.echo(escaped_json(line.decode()) if on_screen else line)


def print_line(text: str) -> None:
    """One line of data that may hold foreign text."""
    click.echo(printable(text))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns with headings from the texts; East Asian characters count as two."""
    from rich.cells import cell_len

    table = [[label(column) for column in columns], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[index]) for row in table) for index in range(len(columns))]
    for row in table:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, str]) -> None:
    """One fact per line, names aligned."""
    from rich.cells import cell_len

    width = max(cell_len(label(name)) for name in facts)
    for name, value in facts.items():
        heading = label(name)
        click.echo(f"{heading}{' ' * (width - cell_len(heading))}  {printable(value)}")


def narrate(text: str) -> None:
    """Narration, as a rule one line; whatever it quotes is made safe for a terminal."""
    click.echo(printable_lines(text), err=True)


def moment(seconds: float | None) -> str:
    """A point in time in the box's own time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def report_error(error: ApplianceError, as_json: bool) -> None:
    """Tell what happened and what to do, for a person or for a program."""
    message, hint = explain(error)
    log = error.parameters.get("log", "")
    if as_json:
        told = {"code": error.code, "message": message, "hint": hint, "parameters": error.parameters}
        click.echo(escaped_json(msgspec.json.encode(told, enc_hook=str).decode()), err=True)
        return
    narrate(f"{label('error')}: {message}")
    if hint:
        narrate(f"{label('hint')}: {hint}")
    if log:
        narrate(f"{label('log_tail')}:")
        for line in str(log).splitlines()[-8:]:
            narrate(f"  {printable(line)}")


def failure_sentence(failure: Mapping[str, Any]) -> str:
    """Message of a failure as the store keeps it."""
    return explain_code(failure["code"], failure.get("parameters", {}))[0] if failure else ""


def to_terminal() -> bool:
    """Whether narration goes to a person's screen."""
    return sys.stderr.isatty()

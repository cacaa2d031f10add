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
from appliance.texts.speech import explain, explain_code


def print_json(value: Any) -> None:
    """One JSON document, readable."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2))


def print_json_lines(values: Iterable[Any]) -> None:
    """One JSON document per line, as they come."""
    for value in values:
        click.echo(msgspec.json.encode(value, enc_hook=str))


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


def printable(text: str) -> str:
    """Foreign text without what a terminal would obey: control characters become their picture or a replacement mark."""
    return "".join(character if character.isprintable() else _picture(character) for character in text)


def narrate(text: str) -> None:
    """One line of narration."""
    click.echo(text, err=True)


def moment(seconds: float | None) -> str:
    """A point in time in the box's own time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def report_error(error: ApplianceError, as_json: bool) -> None:
    """Tell what happened and what to do, for a person or for a program."""
    message, hint = explain(error)
    log = error.parameters.get("log", "")
    if as_json:
        told = {"code": error.code, "message": message, "hint": hint, "parameters": error.parameters}
        click.echo(msgspec.json.encode(told, enc_hook=str), err=True)
        return
    click.echo(f"{label('error')}: {message}", err=True)
    if hint:
        click.echo(f"{label('hint')}: {hint}", err=True)
    if log:
        click.echo(f"{label('log_tail')}:", err=True)
        for line in str(log).splitlines()[-8:]:
            click.echo(f"  {printable(line)}", err=True)


def failure_sentence(failure: Mapping[str, Any]) -> str:
    """Message of a failure as the store keeps it."""
    return explain_code(failure["code"], failure.get("parameters", {}))[0] if failure else ""


def to_terminal() -> bool:
    """Whether narration goes to a person's screen."""
    return sys.stderr.isatty()


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 32 else "\N{REPLACEMENT CHARACTER}"

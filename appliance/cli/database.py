"""``greenwave database``: the schema of the database, its copies, and the way back after a newer version has been at work."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.options import json_option
from appliance.cli.output import moment, narrate, print_json, print_table
from appliance.cli.wording import label, told
from appliance.services.database import DatabaseService
from appliance.services.workbench import find_home
from appliance.texts.speech import human_bytes, say


@click.group("database", help=told("database"))
def command() -> None:
    """The noun."""


@command.command("show", help=told("database show"))
@json_option
def show(as_json: bool) -> None:
    """The database and its copies."""
    files = DatabaseService(find_home()).files()
    if as_json:
        print_json(files)
        return
    rows = [
        (
            one.path,
            human_bytes(one.size),
            moment(one.changed),
            one.migrations[-1] if one.migrations else "",
            label("yes" if one.fits else "no"),
        )
        for one in (files.database, *files.copies)
    ]
    print_table(("file", "size", "changed_at", "schema", "fits_version"), rows)


@command.command("restore", help=told("database restore"))
@click.argument("copy", type=click.Path(path_type=Path), required=False)
@json_option
def restore(copy: Path | None, as_json: bool) -> None:
    """Go back to a copy."""
    restored, kept = DatabaseService(find_home()).restore(copy)
    if as_json:
        print_json({"restored": restored, "kept": kept})
        return
    narrate(say("notices", "database_restored", path=restored.path, kept=kept))

"""``greenwave media``: what can be imported from."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.options import json_option
from appliance.cli.output import moment, narrate, print_json, print_table
from appliance.cli.wording import label, told
from appliance.services.media import MEDIA_VARIABLE, MediaService
from appliance.texts.speech import human_bytes, say


@click.command("media", help=told("media"))
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@json_option
def command(folder: Path | None, as_json: bool) -> None:
    """List media, or a folder of one."""
    if folder is not None:
        _list_folder(folder, as_json)
        return
    mounted = MediaService().mounted()
    if as_json:
        print_json(mounted)
    elif mounted:
        rows = [
            (
                one.path,
                one.device,
                one.filesystem,
                human_bytes(one.total),
                human_bytes(one.free),
                label("yes" if one.is_read_only else "no"),
            )
            for one in mounted
        ]
        print_table(("medium", "device_file", "filesystem", "size", "free", "read_only"), rows)
    else:
        narrate(say("notices", "no_media", variable=MEDIA_VARIABLE))


def _list_folder(folder: Path, as_json: bool) -> None:
    listing = MediaService().entries(folder.absolute())
    if as_json:
        print_json(listing)
        return
    rows = [(one.name, label(f"use_{one.use}"), human_bytes(one.size) if one.size else "", moment(one.modified)) for one in listing.entries]
    print_table(("file", "kind", "size", "changed_at"), rows)
    if listing.more:
        narrate(say("notices", "more_entries", count=listing.more))

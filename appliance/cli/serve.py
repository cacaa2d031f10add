"""``greenwave serve``: a model for other programs, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import json_option
from appliance.cli.output import narrate, print_json
from appliance.cli.wording import told
from appliance.services.serving import Endpoint, serve_model
from appliance.texts.speech import say


@click.command("serve", help=told("serve"))
@click.argument("model")
@click.option("--socket", "at_socket", type=click.Path(path_type=Path), help=told("option.socket"))
@click.option("--port", type=int, help=told("option.port"))
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help=told("option.slots"))
@click.option("--context", "context_length", type=click.IntRange(64, 10_000_000), help=told("option.context"))
@click.option("--group", "group_may_use", is_flag=True, help=told("option.group"))
@json_option
def command(
    model: str, at_socket: Path | None, port: int | None, slots: int, context_length: int | None, group_may_use: bool, as_json: bool
) -> None:
    """Serve until told to leave."""

    def ready(endpoint: Endpoint) -> None:
        address = " + ".join(str(part) for part in (endpoint.socket, endpoint.url) if part)
        if as_json:
            print_json({"model": model, "socket": str(endpoint.socket) if endpoint.socket else None, "url": endpoint.url})
        else:
            narrate(say("notices", "serving", model=model, address=address))

    serve_model(
        open_workbench(),
        model,
        at_socket=at_socket,
        port=port,
        slots=slots,
        context_length=context_length,
        group_may_use=group_may_use,
        ready=ready,
    )

"""The root command: names of the others, imported only when they are used, so that ``--help`` stays quick."""

from __future__ import annotations

from importlib import import_module

import click

from appliance import __version__
from appliance.cli.wording import told

COMMANDS = {
    "demo": "appliance.cli.demo",
    "doctor": "appliance.cli.doctor",
    "datasets": "appliance.cli.datasets",
    "models": "appliance.cli.models",
    "recipes": "appliance.cli.recipes",
    "plan": "appliance.cli.plan",
    "train": "appliance.cli.train",
    "export": "appliance.cli.export",
    "evaluate": "appliance.cli.evaluate",
    "chat": "appliance.cli.chat",
    "serve": "appliance.cli.serve",
    "runs": "appliance.cli.runs",
    "media": "appliance.cli.media",
    "database": "appliance.cli.database",
    "selftest": "appliance.cli.selftest",
}


class LazyGroup(click.Group):
    """A group whose commands are modules with a ``command`` in them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        module = COMMANDS.get(cmd_name)
        found: click.Command | None = import_module(module).command if module else None
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their words alone, without importing them."""
        with formatter.section(told("commands")):
            formatter.write_dl([(name, told(name)) for name in COMMANDS])


@click.group(cls=LazyGroup, help=told("greenwave"), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="greenwave", help=told("version"))
def root() -> None:
    """The console script's command."""

"""``greenwave datasets``: files in, rows looked at, cleaned, split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.describing import ProgressBar, rejection, show_description
from appliance.cli.exporting import print_export
from appliance.cli.grouping import groups, mix
from appliance.cli.looking import show_look
from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, detach_option, json_option, recipe_options
from appliance.cli.output import moment, narrate, print_facts, print_json, print_line, print_table
from appliance.cli.previewing import show_rows, show_tokens
from appliance.cli.redacting import redact, review
from appliance.cli.starting import as_object, dataset_facts, follow_and_show
from appliance.cli.wording import label, told
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.quality import quality_card
from appliance.services.exporting import write_rejected, write_rows
from appliance.services.row_forms import FORMS
from appliance.texts.speech import human_bytes, say


@click.group("datasets", help=told("datasets"))
def command() -> None:
    """The noun."""


command.add_command(groups)
command.add_command(mix)


@command.command("import", help=told("datasets import"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", help=told("option.name"))
@click.option("--look", is_flag=True, help=told("option.look"))
@click.option("--format", "format_name", default="auto", show_default=True, help=told("option.format"))
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help=told("option.column"))
@click.option("--encoding", default="auto", show_default=True, help=told("option.encoding"))
@detach_option
@json_option
def import_(source: Path, name: str | None, look: bool, columns: tuple[str, ...], detach: bool, as_json: bool, **choices: str) -> None:
    """Read a file of records or documents."""
    chosen = {"format": choices["format_name"], "columns": dict(_column(assignment) for assignment in columns)}
    chosen["encoding"] = choices["encoding"]
    workbench = open_workbench()
    if look:
        show_look(workbench.datasets.look(source, **chosen), as_json)
        return
    if name is None:
        raise ApplianceError("import_without_name", ExitCode.USAGE)
    follow_and_show(workbench, workbench.datasets.start_import(source, name, **chosen), as_json, detach)


@command.command("list", help=told("datasets list"))
@json_option
def list_(as_json: bool) -> None:
    """Every dataset."""
    datasets = list(open_workbench().datasets.all())
    if as_json:
        print_json([as_object(dataset) for dataset in datasets])
        return
    rows = [(one.name, one.id, f"{one.counts['rows']:,}", human_bytes(one.size), moment(one.created)) for one in datasets]
    print_table(("dataset", "id", "rows", "size", "created"), rows)


@command.command("show", help=told("datasets show"))
@click.argument("dataset")
@click.option("--rejected", is_flag=True, help=told("option.rejected"))
@click.option("--base", metavar="MODEL", help=told("option.lengths_base"))
@json_option
def show(dataset: str, rejected: bool, base: str | None, as_json: bool) -> None:
    """What one dataset looks like, or the rows it did not accept."""
    workbench = open_workbench()
    found = workbench.datasets.get(dataset)
    listing = workbench.datasets.rejected(dataset, None if rejected else 20)
    if as_json and rejected:
        print_json({**as_object(found), "rejected": list(listing)})
        return
    if not as_json:
        print_facts({**dataset_facts(found), "created": moment(found.created)})
    if not rejected:
        bar = ProgressBar()
        description = workbench.descriptions.describe(dataset, base, bar.tell)
        bar.end()
        privacy = workbench.redaction.state(found.id)
        if as_json:
            print_json({**as_object(found), "description": description, "quality": quality_card(description), "privacy": privacy})
            return
        show_description(found, description, privacy)
        click.echo()
    lines = [rejection(entry) for entry in listing]
    if lines:
        narrate(f"{label('rejected_rows')}:")
        for line in lines:
            print_line(f"  {line}")


@command.command("preview", help=told("datasets preview"))
@click.argument("dataset")
@click.option("--rows", "limit", default=5, show_default=True, type=click.IntRange(1, 1000), help=told("option.rows"))
@click.option("--skip", default=0, show_default=True, type=click.IntRange(0, 1_000_000_000_000), help=told("option.skip"))
@click.option("--row", type=click.IntRange(1, 1_000_000_000_000), help=told("option.row"))
@click.option("--tokens", is_flag=True, help=told("option.tokens"))
@click.option("--base", metavar="MODEL", help=told("option.tokenizer_base"))
@click.option("--max-length", metavar="TOKENS", help=told("option.max_length"))
@click.option("--first", default=0, show_default=True, type=click.IntRange(0, 1_000_000_000), help=told("option.first_token"))
@recipe_options
@json_option
def preview(dataset: str, limit: int, skip: int, row: int | None, tokens: bool, base: str | None, as_json: bool, **choices: Any) -> None:
    """Some rows, or the tokens that they become."""
    limit, skip = (1, row - 1) if row else (limit, skip)
    workbench = open_workbench()
    if not (tokens or base):
        show_rows(workbench.datasets.rows(dataset, limit, skip), as_json)
        return
    if base is None:
        raise ApplianceError("tokens_need_base", ExitCode.USAGE, dataset=dataset)
    max_length = choices.pop("max_length")
    longest = (f"training.max_length={max_length}",) if max_length else ()
    recipe: RecipeChoice = choices["recipe"]
    training = recipe.composed(*longest).training
    show_tokens(workbench, dataset, range(skip + 1, skip + limit + 1), base, training, choices["first"], as_json)


@command.command("clean", help=told("datasets clean"))
@click.argument("dataset")
@click.option("--name", help=told("option.name"))
@click.option("--base", metavar="MODEL", help=told("option.counting_base"))
@recipe_options
@detach_option
@json_option
def clean(
    dataset: str,
    name: str | None,
    base: str | None,
    recipe: RecipeChoice,
    detach: bool,
    as_json: bool,
) -> None:
    """Clean a dataset into a new one."""
    workbench = open_workbench()
    follow_and_show(workbench, workbench.datasets.start_clean(dataset, name, recipe.composed().cleaning, base), as_json, detach)


command.add_command(redact)
command.add_command(review)


@command.command("split", help=told("datasets split"))
@click.argument("dataset")
@click.option("--name", help=told("option.split_name"))
@recipe_options
@detach_option
@json_option
def split(dataset: str, name: str | None, recipe: RecipeChoice, detach: bool, as_json: bool) -> None:
    """Divide a dataset into two or three."""
    workbench = open_workbench()
    follow_and_show(workbench, workbench.datasets.start_split(dataset, name, recipe.composed().split), as_json, detach)


@command.command("export", help=told("datasets export"))
@click.argument("dataset")
@click.argument("target", type=click.Path(path_type=Path), required=False, metavar="[FILE]")
@click.option("--format", "form", default="chat", show_default=True, metavar="|".join(FORMS), help=told("option.export_format"))
@click.option("--rejected", is_flag=True, help=told("option.export_rejected"))
@json_option
def export(dataset: str, target: Path | None, form: str, rejected: bool, as_json: bool) -> None:
    """Rows for another program, into a new file or to standard output."""
    datasets = open_workbench().datasets
    if target is None:
        print_export(datasets, dataset, form, rejected)
        return
    written = (write_rejected if rejected else write_rows)(datasets, dataset, target, form)
    if as_json:
        print_json(written)
        return
    narrate(say("notices", "rows_written", count=written.counts["written"], path=str(target)))
    if written.left_out:
        narrate(say("notices", "rows_not_carried", count=written.counts["left_out"], form=form, path=written.left_out))


@command.command("remove", help=told("datasets remove"))
@click.argument("dataset")
@json_option
def remove(dataset: str, as_json: bool) -> None:
    """Delete a dataset that nothing was made from."""
    removed = open_workbench().datasets.remove(dataset)
    print_json({"id": removed.id, "name": removed.name, "removed": True}) if as_json else narrate(
        say("notices", "dataset_removed", name=removed.name)
    )


def _column(assignment: str) -> tuple[str, str]:
    field, equals, column = assignment.partition("=")
    if not (equals and field and column):
        raise ApplianceError("column_malformed", ExitCode.USAGE, assignment=assignment[:80])
    return field.strip(), column

"""``greenwave datasets``: files in, rows looked at, cleaned, split."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.grouping import groups, mix
from appliance.cli.opening import open_workbench
from appliance.cli.options import detach_option, json_option, recipe_options
from appliance.cli.output import moment, narrate, print_facts, print_json, print_json_lines, print_table, printable
from appliance.cli.rejections import write_rejections
from appliance.cli.starting import as_object, dataset_facts, follow_and_show
from appliance.cli.wording import label, told
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.services.recipes import compose_recipe
from appliance.texts.speech import human_bytes, say


@click.group("datasets", help=told("datasets"))
def command() -> None:
    """The noun."""


command.add_command(groups)
command.add_command(mix)


@command.command("import", help=told("datasets import"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", required=True, help=told("option.name"))
@click.option("--format", "format_name", default="auto", show_default=True, help=told("option.format"))
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help=told("option.column"))
@click.option("--encoding", default="auto", show_default=True, help=told("option.encoding"))
@detach_option
@json_option
def import_(source: Path, name: str, format_name: str, columns: tuple[str, ...], encoding: str, detach: bool, as_json: bool) -> None:
    """Read a file of records."""
    mapping = dict(_column(assignment) for assignment in columns)
    workbench = open_workbench()
    run = workbench.datasets.start_import(source, name, format=format_name, columns=mapping, encoding=encoding)
    follow_and_show(workbench, run, as_json, detach)


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
@json_option
def show(dataset: str, rejected: bool, as_json: bool) -> None:
    """One dataset's counts and facts, or the rows it did not accept."""
    workbench = open_workbench()
    found = workbench.datasets.get(dataset)
    listing = workbench.datasets.rejected(dataset, None if rejected else 20)
    if as_json:
        shown = {"rejected": list(listing)} if rejected else {}
        print_json({**as_object(found), **shown})
        return
    print_facts({**dataset_facts(found), "created": moment(found.created)})
    lines = [_rejection(entry) for entry in listing]
    if lines:
        narrate(f"{label('rejected_rows')}:")
        for line in lines:
            click.echo(f"  {line}")


@command.command("preview", help=told("datasets preview"))
@click.argument("dataset")
@click.option("--rows", "limit", default=5, show_default=True, type=click.IntRange(1, 1000), help=told("option.rows"))
@click.option("--skip", default=0, show_default=True, type=click.IntRange(0, 1_000_000_000_000), help=told("option.skip"))
@json_option
def preview(dataset: str, limit: int, skip: int, as_json: bool) -> None:
    """The first rows."""
    rows = open_workbench().datasets.rows(dataset, limit, skip)
    if as_json:
        print_json(list(rows))
        return
    for row in rows:
        click.echo(f"── {row.source}")
        for message in row.messages:
            click.echo(f"{label('role_' + message.role)}: {printable(message.content)}")


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
    preset: str | None,
    recipe_file: Path | None,
    assignments: tuple[str, ...],
    detach: bool,
    as_json: bool,
) -> None:
    """Clean a dataset into a new one."""
    recipe = compose_recipe(preset, recipe_file, assignments)
    workbench = open_workbench()
    follow_and_show(workbench, workbench.datasets.start_clean(dataset, name, recipe.cleaning, base), as_json, detach)


@command.command("split", help=told("datasets split"))
@click.argument("dataset")
@click.option("--name", help=told("option.split_name"))
@recipe_options
@detach_option
@json_option
def split(
    dataset: str, name: str | None, preset: str | None, recipe_file: Path | None, assignments: tuple[str, ...], detach: bool, as_json: bool
) -> None:
    """Divide a dataset into two or three."""
    recipe = compose_recipe(preset, recipe_file, assignments)
    workbench = open_workbench()
    follow_and_show(workbench, workbench.datasets.start_split(dataset, name, recipe.split), as_json, detach)


@command.command("export", help=told("datasets export"))
@click.argument("dataset")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--rejected", is_flag=True, help=told("option.export_rejected"))
def export(dataset: str, target: Path | None, rejected: bool) -> None:
    """Rows as JSON lines, into a file or to standard output."""
    workbench = open_workbench()
    if rejected:
        write_rejections(workbench, dataset, target)
        return
    if target is None:
        print_json_lines(workbench.datasets.rows(dataset))
        return
    found = workbench.datasets.copy_rows(dataset, target)
    narrate(say("notices", "rows_written", count=found.counts["rows"], path=str(target)))


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


def _rejection(entry: dict[str, object]) -> str:
    parameters = entry.get("parameters") or {}
    assert isinstance(parameters, dict)
    reason = say("problems", str(entry["reason"]), **parameters)
    return f"{label('line')} {entry.get('line', '?')}: {reason}  {printable(str(entry.get('excerpt', '')))[:80]}"

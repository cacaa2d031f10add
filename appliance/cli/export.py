"""``greenwave export``: a model as one GGUF file, merged as a folder of safetensors, or an adapter alone as a GGUF file."""

from __future__ import annotations

import click

from appliance.cli.opening import open_workbench
from appliance.cli.options import RecipeChoice, detach_option, json_option, recipe_options
from appliance.cli.starting import follow_and_show
from appliance.cli.wording import told
from appliance.domain.spec import ExportForm


@click.command("export", help=told("export"))
@click.argument("model")
@click.option("--name", required=True, help=told("option.name"))
@click.option("--type", "type_name", metavar="TYPE", help=told("option.type"))
@click.option("--merged", "form", flag_value="merged", help=told("option.merged"))
@click.option("--adapter-only", "form", flag_value="adapter", help=told("option.adapter_only"))
@click.option("--merge-into", metavar="BASE", help=told("option.merge_into"))
@click.option("--imatrix", metavar="DATASET", help=told("option.imatrix"))
@click.option("--validation", metavar="DATASET", help=told("option.check_rows"))
@click.option("--no-check", is_flag=True, help=told("option.no_check"))
@recipe_options
@detach_option
@json_option
def command(
    model: str,
    name: str,
    type_name: str | None,
    form: ExportForm | None,
    merge_into: str | None,
    imatrix: str | None,
    validation: str | None,
    no_check: bool,
    recipe: RecipeChoice,
    detach: bool,
    as_json: bool,
) -> None:
    """Export and follow."""
    options = {"type": type_name, "merge_into": merge_into}
    chosen = [f"export.{field}={value.lower()}" for field, value in options.items() if value]
    workbench = open_workbench()
    run = workbench.models.start_export(model, name, recipe.composed(*chosen), form or "gguf", not no_check, imatrix, validation)
    follow_and_show(workbench, run, as_json, detach)

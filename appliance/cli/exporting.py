"""Rows of a dataset on standard output, in the form of another program."""

from __future__ import annotations

import sys

import click

from appliance.cli.describing import rejection
from appliance.cli.output import narrate
from appliance.domain.dataset import Rejected
from appliance.services.datasets import DatasetService
from appliance.services.exporting import lines_of, rejected_lines
from appliance.texts.foreign import escaped_json, printable_lines
from appliance.texts.speech import say

_TOLD = 20
"""Rows that are named when a form cannot carry them; a file gets all of them."""


def print_export(datasets: DatasetService, key: str, form: str, rejected: bool) -> None:
    """Line by line; a program gets the bytes as they are, a terminal nothing that it would obey. What is not carried is told beside it."""
    dataset = datasets.get(key)
    left_out: list[Rejected] = []
    count = 0

    def leave_out(entry: Rejected) -> None:
        nonlocal count
        count += 1
        if len(left_out) < _TOLD:
            left_out.append(entry)

    lines = rejected_lines(datasets, dataset, form) if rejected else lines_of(datasets, dataset, form, leave_out)
    on_screen, made_safe = sys.stdout.isatty(), printable_lines if form == "csv" else escaped_json
    for line in lines:
        click.echo(made_safe(line.decode("utf-8", "replace")) if on_screen else line, nl=False)
    if count:
        narrate(say("notices", "rows_not_carried_here", count=count, form=form))
        for entry in left_out:
            narrate(f"  {rejection({'line': entry.line, 'reason': entry.reason, 'excerpt': entry.excerpt})}")

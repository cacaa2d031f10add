"""Rows as a person reads them, and as the tokens that a model learns."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click
import msgspec

from appliance.cli.output import narrate, print_json, print_line
from appliance.cli.wording import label
from appliance.domain.conversation import Conversation
from appliance.domain.errors import ApplianceError
from appliance.domain.preview import TokenPart, TokenPreview
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.row import Row
from appliance.services.workbench import Workbench
from appliance.texts.foreign import printable, printable_lines
from appliance.texts.speech import say

BETWEEN, BEGIN_TRAINED, END_TRAINED, LIMIT, PIECE = "│", "⟦", "⟧", "✂", "┃"
"""Between two tokens; around what is trained; where the longest length ends; where a document's next piece begins."""


def show_rows(rows: Iterable[Row], as_json: bool) -> None:
    """Messages with their roles, or a document's text."""
    if as_json:
        print_json(list(rows))
        return
    for row in rows:
        print_line(f"── {row.source}")
        if not isinstance(row, Conversation):
            click.echo(printable_lines(row.text))
            continue
        for message in row.messages:
            print_line(f"{label('role_' + message.role)}: {message.content}")
        if row.rejected:
            print_line(f"{label('role_worse')}: {row.rejected}")


def show_tokens(
    workbench: Workbench, dataset: str, numbers: Iterable[int], base: str, recipe: TrainingRecipe, first: int, as_json: bool
) -> None:
    """The exact tokens of rows, each with what becomes of it under the recipe; rows behind the last are passed over but for the first."""
    shown = []
    try:
        for position, number in enumerate(numbers):
            try:
                preview = workbench.previews.tokens(dataset, number, base, recipe.max_length, recipe.long_rows, first=first)
            except ApplianceError as error:
                if error.code == "row_unknown" and position:
                    break
                raise
            if as_json:
                shown.append({"row": number, "max_length": recipe.max_length, **msgspec.to_builtins(preview)})
            else:
                _show(number, preview, recipe.max_length)
    finally:
        workbench.previews.close()
    if as_json:
        print_json(shown)
    else:
        narrate(say("notices", "token_signs", between=BETWEEN, begin=BEGIN_TRAINED, end=END_TRAINED, limit=LIMIT))


def _show(number: int, preview: TokenPreview, max_length: int) -> None:
    for part in preview.parts:
        heading = say("labels", f"part_{part.role}")
        counts = say("notices", "token_counts", tokens=part.total, trained=part.trained_total)
        print_line(f"── {label('row')} {number} · {heading}: {counts}")
        print_line(f"   {say('fates', preview.fate, tokens=part.total, max_length=max_length, pieces=len(preview.starts))}")
        if part.kept:
            print_line(f"   {_about_ends(preview, part)}")
        coloured = not os.environ.get("NO_COLOR")
        click.echo(drawn(part, max_length, frozenset(preview.starts)), color=None if coloured else False)
        rest = part.total - part.first - len(part.ids)
        if rest > 0:
            narrate(say("notices", "more_tokens", rest=rest, first=part.first + len(part.ids)))


def _about_ends(preview: TokenPreview, part: TokenPart) -> str:
    if not preview.end_of_turn:
        return say("notices", "end_of_turn_none")
    code = "end_of_turn_trained" if part.turns_ended == part.turns else "end_of_turn_untrained"
    return say("notices", code, end=preview.end_of_turn, turns=part.turns, ended=part.turns_ended)


def drawn(part: TokenPart, max_length: int, starts: frozenset[int]) -> str:
    """Tokens behind one another: trained ones between signs and in green, those behind the longest length struck through and red.

    The signs carry everything that the colours carry.
    """
    inside = False
    pieces: list[str] = []
    for place, (text, trained) in enumerate(zip(part.texts, part.trained, strict=True), part.first):
        is_behind = not starts and place >= max_length
        if trained != inside:
            pieces.append(BEGIN_TRAINED if trained else END_TRAINED)
            inside = trained
        elif pieces:
            pieces.append(PIECE if place + 1 in starts and place else BETWEEN)
        if not starts and place == max_length:
            pieces.append(f"\n{LIMIT} {say('notices', 'cut_from_here', max_length=max_length)}\n")
        style = {"fg": "red", "strikethrough": True} if is_behind else {"fg": "green", "bold": True} if trained else {}
        pieces.append(click.style(_written(text), **style))  # type: ignore[arg-type]  # click's own keywords
    return "".join(pieces) + (END_TRAINED if inside else "")


def _written(text: str) -> str:
    """A token in one piece: what has no width is named, a line break is drawn and then made."""
    if not text:
        return "‥"
    return "\n".join(printable(line) for line in text.replace("\n", "↵\n").split("\n"))

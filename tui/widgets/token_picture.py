"""A row as the tokens that a model learns: trained ones between signs and coloured, what is cut off struck through."""

from __future__ import annotations

from textual.content import Content

from appliance.domain.preview import TokenPart, TokenPreview
from appliance.texts.speech import say
from tui.widgets.plain import harmless

BETWEEN, BEGIN_TRAINED, END_TRAINED, LIMIT = "│", "⟦", "⟧", "✂"


def drawn_tokens(preview: TokenPreview, max_length: int) -> Content:
    """Every sequence of the row with its counts; the signs carry everything that the colours carry."""
    parts: list[Content | str | tuple[str, str]] = []
    for part in preview.parts:
        counts = say("notices", "token_counts", tokens=part.total, trained=part.trained_total)
        fate = say("fates", preview.fate, tokens=part.total, max_length=max_length, pieces=len(preview.starts))
        parts += [f"{say('labels', f'part_{part.role}')}: {counts}  {fate}\n", *_tokens(part, max_length), "\n"]
        if preview.end_of_turn:
            ended = "end_of_turn_trained" if part.turns_ended == part.turns else "end_of_turn_untrained"
            parts.append(harmless(say("notices", ended, end=preview.end_of_turn, turns=part.turns, ended=part.turns_ended)))
    return Content.assemble(*parts)


def _tokens(part: TokenPart, max_length: int) -> list[Content | str | tuple[str, str]]:
    shown: list[Content | str | tuple[str, str]] = []
    inside = False
    for place, (text, trained) in enumerate(zip(part.texts, part.trained, strict=True), part.first):
        if trained != inside:
            shown.append((BEGIN_TRAINED if trained else END_TRAINED, "$warning"))
            inside = trained
        elif shown:
            shown.append((BETWEEN, "$text-muted"))
        if place == max_length:
            shown.append((LIMIT, "bold $error"))
        look = "strike $error" if place >= max_length else "bold $success" if trained else ""
        written = harmless(text.replace("\n", "↵\n")) or "‥"
        shown.append((written, look) if look else written)
    return [*shown, (END_TRAINED, "$warning")] if inside else shown

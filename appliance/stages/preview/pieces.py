"""What each token of a text stands for, so that a person can read them one after another."""

from __future__ import annotations

from typing import Any

from appliance.stages.language_model.tokenized_rows import MarkedText


def shown_pieces(marked: MarkedText, tokenizer: Any) -> list[str]:
    """One piece of the text for each token; put together they are the text, and tokens that stand for no text are called by their name.

    A character that is made of several tokens is the piece of the first of them, the others get nothing. White space that a tokenizer
    trims from its offsets belongs to the token that follows it, as in the vocabulary.
    """
    backend = tokenizer.backend_tokenizer
    pieces, reached = [], 0
    for number, (start, end) in zip(marked.ids, marked.offsets, strict=True):
        if end > start:
            pieces.append(marked.text[reached:end])  # empty when the token only goes on with a character
            reached = max(reached, end)
            continue
        said = backend.decode([number], skip_special_tokens=False)
        if said and marked.text.startswith(said, reached):
            pieces.append(said)
            reached += len(said)
        else:
            pieces.append(str(backend.id_to_token(number)))
    return pieces

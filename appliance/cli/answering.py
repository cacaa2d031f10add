"""Printing an answer while it is written."""

from __future__ import annotations

from collections.abc import Sequence

import click

from appliance.cli.output import narrate
from appliance.domain.conversation import Message
from appliance.services.chat import Answer, Client, Sampling
from appliance.texts.foreign import printable_lines
from appliance.texts.speech import say

LIKELIEST = Sampling(temperature=0.0, top_p=1.0, max_tokens=256)
"""Always the same answer to the same question."""


def print_answer(client: Client, messages: Sequence[Message], sampling: Sampling) -> Answer:
    """Stream an answer to standard output, then its speed to standard error."""
    with client.stream(messages, sampling) as pieces:
        for piece in pieces:
            click.echo(printable_lines(piece), nl=False)
    click.echo()
    answer = pieces.answer
    if answer is None:
        raise click.Abort
    first, speed, tokens = answer.seconds_to_first_token, answer.tokens_per_second, answer.completion_tokens
    narrate(say("notices", "answer_speed", first=first, speed=speed, tokens=tokens))
    return answer

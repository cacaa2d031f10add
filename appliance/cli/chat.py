"""``greenwave chat``: one question, or a conversation."""

from __future__ import annotations

import sys

import click

from appliance.cli.answering import print_answer
from appliance.cli.opening import open_workbench
from appliance.cli.options import json_option
from appliance.cli.output import narrate, print_json
from appliance.cli.wording import label, told
from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.services.chat import Client, Sampling, open_chat
from appliance.texts.speech import say


@click.command("chat", help=told("chat"))
@click.argument("model")
@click.argument("question", required=False)
@click.option("--system", help=told("option.system"))
@click.option("--temperature", default=0.7, show_default=True, type=click.FloatRange(0, 2), help=told("option.temperature"))
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(1, 1_000_000), help=told("option.max_tokens"))
@json_option
def command(model: str, question: str | None, system: str | None, temperature: float, max_tokens: int, as_json: bool) -> None:
    """Ask and stream the answer."""
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    opening = [Message("system", system)] if system else []
    if question is None and not sys.stdin.isatty():
        question = _piped_question()
    with open_chat(open_workbench(), model) as client:
        if question is None:
            narrate(say("notices", "chat_begins", model=model))
            _converse(client, opening, sampling)
        elif as_json:
            print_json(client.chat([*opening, Message("user", question)], sampling))
        else:
            print_answer(client, [*opening, Message("user", question)], sampling)


def _converse(client: Client, messages: list[Message], sampling: Sampling) -> None:
    """Question after question, each with all that was said before, until an empty line or the end of input."""
    while question := _next_question():
        messages = [*messages, Message("user", question)]
        answer = print_answer(client, messages, sampling)
        messages = [*messages, Message("assistant", answer.text)]


def _piped_question() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ApplianceError("question_not_text", encoding=error.encoding) from error


def _next_question() -> str:
    try:
        return input(f"{label('you')}: ").strip()
    except EOFError:
        return ""
    except UnicodeDecodeError as error:
        raise ApplianceError("question_not_text", encoding=error.encoding) from error

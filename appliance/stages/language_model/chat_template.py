"""The base's own chat template: prompts for answering, and for training which characters of a conversation the model has to say itself.

What is trained is found by rendering. The prompt of a turn is the conversation before it, rendered as the model will meet it; all that
follows up to and with the end of the turn is what the model must produce. The whitespace that a template puts behind the end of a turn
is not trained: after that token generation is over. What people wrote reaches the template as it does in the server, see
``inference/wording.py``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import jinja2

from appliance.domain.conversation import Message
from appliance.domain.errors import ApplianceError
from appliance.inference.wording import plain_text

_PROBE_ANSWER = "Ω7绿波Ω"
"""An answer that occurs in no template, so that what stands around an answer can be read off."""

Span = tuple[int, int]
"""First character and the one behind the last."""


class ChatTemplate:
    """The chat template of a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise ApplianceError("chat_template_missing", path=shlex.quote(str(tokenizer.name_or_path)))
        self._tokenizer = tokenizer
        self._before_answer, self._after_answer = self._surroundings()

    @property
    def end_of_turn(self) -> str:
        """What ends an answer, ``<|im_end|>`` for ChatML; empty for a template without an end."""
        return self._after_answer

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text that the model continues with its answer."""
        return self._render(messages, for_answer=True)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's token ids: what training, the exam and the server must agree on."""
        ids: list[int] = self._tokenizer.backend_tokenizer.encode(self.prompt(messages), add_special_tokens=False).ids
        return ids

    def trained_spans(self, messages: Sequence[Message]) -> tuple[str, list[Span]]:
        """The whole conversation as text, and the spans of it that the model has to say.

        Raises ``template_not_incremental`` when a turn's prompt is not the beginning of the whole text, or an answer does not stand
        behind its prompt: then nobody knows what to train.
        """
        text = self._render(messages, for_answer=False)
        spans = []
        for position, message in enumerate(messages):
            if message.role != "assistant":
                continue
            prompt = self.prompt(messages[:position])
            if not text.startswith(prompt):
                raise ApplianceError("template_not_incremental", turn=position + 1)
            end = self._end_of_answer(text, len(prompt), plain_text(message.content))
            if end is None:
                raise ApplianceError("template_not_incremental", turn=position + 1)
            spans.append((len(prompt), end))
        return text, spans

    def _end_of_answer(self, text: str, start: int, answer: str) -> int | None:
        """Where the turn that begins at ``start`` is over; None when it is not the answer that stands there."""
        # Some templates put an empty thought before the last answer only, and some strip answers.
        for before in (self._before_answer, ""):
            for said in (answer, answer.strip()):
                expected = before + said + self._after_answer
                if text.startswith(expected, start):
                    return start + len(expected)
        return None

    def _surroundings(self) -> tuple[str, str]:
        """What the template puts between prompt and answer, and between answer and the whitespace behind it."""
        question = Message("user", "?")
        prompt = self.prompt([question])
        text = self._render([question, Message("assistant", _PROBE_ANSWER)], for_answer=False)
        before, found, after = text.removeprefix(prompt).partition(_PROBE_ANSWER)
        if not text.startswith(prompt) or not found:
            raise ApplianceError("template_not_incremental", turn=2)
        return before, after.rstrip()

    def _render(self, messages: Sequence[Message], *, for_answer: bool) -> str:
        told = [{"role": message.role, "content": plain_text(message.content)} for message in messages]
        try:
            text: str = self._tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=for_answer)
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise ApplianceError("template_failed", reason=str(error)[:200]) from error
        return text

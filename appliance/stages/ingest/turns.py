"""What makes messages a conversation: an optional system turn, then user and assistant in turn, the assistant last, nothing empty.

A row that breaks the rule is refused, never repaired: cutting an unanswered question or joining two turns would change what somebody
wrote, and they would not know.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.conversation import Message
from appliance.stages.ingest.refusal import Refused


def in_order(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as a conversation, an empty system turn left out; raise Refused for what is none."""
    first = messages[1:] if messages and messages[0].role == "system" else messages
    if not first:
        raise Refused("row_without_question")
    for position, message in enumerate(first):
        if message.role != ("assistant" if position % 2 else "user"):
            raise Refused("row_turns_mixed", turn=position + 1 + len(messages) - len(first), role=message.role)
    if len(first) % 2:
        raise Refused("row_without_answer")
    for position, message in enumerate(first):
        if is_blank(message.content):
            last, only_question = position == len(first) - 1, position == 0
            reason = "row_without_answer" if last else "row_without_question" if only_question else "row_turn_empty"
            raise Refused(reason, **({"turn": position + 1} if reason == "row_turn_empty" else {}))
    return tuple(messages if len(first) == len(messages) or not is_blank(messages[0].content) else first)


def is_blank(text: str) -> bool:
    """Nothing, or nothing but white space."""
    return not text or text.isspace()

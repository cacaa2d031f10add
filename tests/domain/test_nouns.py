"""Events, conversations, errors and identifiers."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.conversation import Conversation, Message, from_json, to_json
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Event, Failed, Finished, Metric, Notice, Produced, Progress, Started, Token, from_line, to_line
from appliance.domain.identity import new_id

EVENTS: list[Event] = [
    Started(10, "rows", "check"),
    Started(None, "bytes"),
    Progress(3),
    Metric("loss", 7, 0.25),
    Notice("warning", "rows_rejected", {"read": 3}),
    Produced(Artifact(role="dataset", path="/数据", sha256="0", size=1, facts={"counts": {"rows": 1}})),
    Token("绿波\n"),
    Failed("disk_full", {"path": "/x"}, 4),
    Finished(),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_cross_the_border_unchanged(event: Event) -> None:
    """An event is one line, and that line is the event."""
    line = to_line(event)
    assert line.count(b"\n") == 1
    assert from_line(line) == event


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"type":"other"}', b'{"type":"progress"}', b"\xff\xfe", b'{"type":"progress","done":"x"}']
)
def test_anything_else_is_no_event(line: bytes) -> None:
    """A line that is no event is refused, whatever it is."""
    with pytest.raises(msgspec.MsgspecError):
        from_line(line)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), max_size=4))
def test_conversations_survive_json(turns: list[tuple[str, str]]) -> None:
    """A conversation is one line of JSON and comes back equal, with an equal hash."""
    conversation = Conversation(tuple(Message(role, content) for role, content in turns), "a:1")  # type: ignore[arg-type]  # drawn from the roles
    line = to_json(conversation)
    assert b"\n" not in line
    assert from_json(line) == conversation
    assert from_json(line).content_hash() == conversation.content_hash()


def test_the_hash_sees_roles_and_borders_but_not_the_source() -> None:
    """Shifting a character to the next turn is another row; coming from another file is not."""
    one = Conversation((Message("user", "ab"), Message("assistant", "c")), "x:1")
    shifted = Conversation((Message("user", "a"), Message("assistant", "bc")), "x:1")
    elsewhere = Conversation(one.messages, "y:9")
    assert one.content_hash() != shifted.content_hash()
    assert one.content_hash() == elsewhere.content_hash()


def test_errors_travel_between_processes() -> None:
    """Code, exit code and parameters survive pickling."""
    error = pickle.loads(pickle.dumps(ApplianceError("disk_full", ExitCode.NO_ROOM, path="/数据")))
    assert (error.code, error.exit_code, error.parameters) == ("disk_full", ExitCode.NO_ROOM, {"path": "/数据"})


def test_identifiers_differ_and_are_safe_in_paths() -> None:
    """10,000 identifiers made at once are all different and need no quoting."""
    made = [new_id("run") for _ in range(10_000)]
    assert len(set(made)) > 9_990
    assert all(identifier.replace("-", "").isalnum() for identifier in made)

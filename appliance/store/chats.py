"""Rows of chats and of their turns."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlite_utils import Database

from appliance.domain.chat import Chat, ChatAnswer, ChatTurn
from appliance.store.records import decoded, encoded

_JSON = ("sampling",)


class Chats:
    """The table of chats."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, chat: Chat) -> None:
        """Insert a chat, or replace its row."""
        self._db.table("chats").upsert(encoded(chat, _JSON), pk="id")

    def find(self, chat_id: str) -> Chat | None:
        """The chat with this id."""
        return next(map(_chat, self._db.query("SELECT * FROM chats WHERE id = ?", [chat_id])), None)

    def newest(self, limit: int = -1) -> Iterator[Chat]:
        """Chats, the one that was changed last first."""
        yield from map(_chat, self._db.query("SELECT * FROM chats ORDER BY changed DESC, id DESC LIMIT ?", [limit]))

    def turns(self, chat_id: str) -> tuple[ChatTurn, ...]:
        """What was asked and answered, in order."""
        rows = self._db.execute("SELECT question, answers FROM chat_turns WHERE chat_id = ? ORDER BY position", [chat_id])
        return tuple(ChatTurn(question=question, answers=msgspec.json.decode(body, type=tuple[ChatAnswer, ...])) for question, body in rows)

    def put_turn(self, chat_id: str, position: int, turn: ChatTurn) -> None:
        """Write the turn at ``position``, counted from 0; it and what came after it are replaced."""
        with self._db.atomic():
            self._db.execute("DELETE FROM chat_turns WHERE chat_id = ? AND position >= ?", [chat_id, position])
            body = msgspec.json.encode(turn.answers).decode()
            row = {"chat_id": chat_id, "position": position, "question": turn.question, "answers": body}
            self._db.table("chat_turns").insert(row)

    def remove(self, chat_id: str) -> None:
        """Delete a chat with its turns."""
        with self._db.atomic():
            self._db.execute("DELETE FROM chat_turns WHERE chat_id = ?", [chat_id])
            self._db.execute("DELETE FROM chats WHERE id = ?", [chat_id])


def _chat(row: dict[str, object]) -> Chat:
    return msgspec.convert(decoded(row, _JSON), Chat)

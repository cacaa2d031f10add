"""Chats that are remembered: begun, gone on with, looked up again."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from appliance.domain.chat import Chat, ChatTurn
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.identity import new_id
from appliance.domain.model import Model
from appliance.store.store import Store

TITLE_CHARS = 60


class ChatService:
    """What front ends do with chats."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, question: str, system: str = "", sampling: dict[str, Any] | None = None) -> Chat:
        """A new chat with its first question as title."""
        now = time.time()
        title = " ".join(question.split())[:TITLE_CHARS]
        chat = Chat(id=new_id("chat"), title=title, system=system, sampling=sampling or {}, created=now, changed=now)
        self._store.chats.save(chat)
        return chat

    def get(self, chat_id: str) -> Chat:
        """The chat with this id; raises ``chat_unknown``."""
        chat = self._store.chats.find(chat_id)
        if chat is None:
            raise ApplianceError("chat_unknown", ExitCode.USAGE, chat=chat_id)
        return chat

    def newest(self, limit: int = 200) -> list[Chat]:
        """Chats, the one that was changed last first."""
        return list(self._store.chats.newest(limit))

    def turns(self, chat_id: str) -> tuple[ChatTurn, ...]:
        """What was asked and answered, in order."""
        return self._store.chats.turns(chat_id)

    def keep(self, chat_id: str, position: int, turn: ChatTurn) -> None:
        """Remember the turn at ``position``; what came after it is forgotten."""
        chat = self.get(chat_id)
        with self._store.transaction():
            self._store.chats.put_turn(chat_id, position, turn)
            self._store.chats.save(msgspec.structs.replace(chat, changed=time.time()))

    def remove(self, chat_id: str) -> None:
        """Forget a chat."""
        self.get(chat_id)
        self._store.chats.remove(chat_id)

    def pair(self) -> tuple[Model | None, Model | None]:
        """The two models to compare by default: the newest that was tuned, and one of the same base that was not. Either may be missing."""
        served = [model for model in reversed(list(self._store.models.all())) if model.kind == "gguf"]
        bases = {model.id: self._parents(model.id) for model in served}
        tuned = next((model for model in served if "adapter" in bases[model.id]), next(iter(served), None))
        if tuned is None or "adapter" not in bases[tuned.id]:
            return tuned, None
        wanted = bases[tuned.id].get("base") or self._parents(bases[tuned.id]["adapter"]).get("base")
        plain = (model for model in served if "adapter" not in bases[model.id] and bases[model.id].get("base") == wanted)
        return tuned, next(plain, None)

    def _parents(self, model_id: str) -> dict[str, str]:
        return {edge.role: edge.parent for edge in self._store.lineage.parents_of(model_id)}

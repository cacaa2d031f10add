"""Chat: ask one model, or two side by side; every chat is remembered."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Select
from textual.worker import get_current_worker

from appliance.domain.chat import Chat, ChatAnswer, ChatTurn, messages_for
from appliance.domain.errors import ApplianceError
from appliance.services.chat import Sampling
from appliance.services.workbench import Workbench
from tui.keys import bindings
from tui.screens.place import PlaceScreen
from tui.talking import Answered, Piece, Talkers, answer_aloud, servable
from tui.widgets.plain import Plain, harmless
from tui.widgets.transcript import Transcript, answer_facts
from tui.words import t


class ChatScreen(PlaceScreen):
    """Questions and answers."""

    PLACE = "chat"
    CSS_PATH = "chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("chat")]

    def __init__(self) -> None:
        super().__init__()
        self.chat: Chat | None = None
        self.turns: tuple[ChatTurn, ...] = ()
        self.names: list[str] = []
        self.system = ""
        self.sampling = Sampling()
        self.talkers = Talkers()
        self._asked = ""
        self._answers: dict[int, ChatAnswer] = {}
        self._waiting = 0

    def compose_body(self) -> ComposeResult:
        """Which models, what was said, what to ask."""
        with Vertical(classes="body"):
            with Horizontal(id="models"):
                yield Select[str]([], prompt=t("chat.no_model"), id="model-0")
                yield Select[str]([], prompt=t("chat.one_model"), id="model-1")
            with Horizontal(id="sides"):
                yield Transcript(id="side-0")
                yield Transcript(id="side-1")
            yield Plain("", id="state", classes="quiet")
            yield Input(placeholder=t("chat.placeholder"), id="question")

    def on_mount(self) -> None:
        """Offer the models."""
        super().on_mount()
        self.query_one("#side-1").display = False
        self.offer_models()
        self.query_one("#question").focus()

    def on_unmount(self) -> None:
        """Let the models go."""
        self.talkers.close()

    def freshen(self) -> None:
        """A model may have been exported meanwhile."""
        self.offer_models()

    @work(exclusive=True, group="offer")
    async def offer_models(self) -> None:
        """Every model that can be asked; at first the newest tuned one."""
        there = await self.app.ask(servable)
        if there is None:
            return
        self.names, preferred = there
        for side in (0, 1):
            select = self.query_one(f"#model-{side}", Select)
            chosen = select.value
            select.set_options([(harmless(name), name) for name in self.names])
            if isinstance(chosen, str) and chosen in self.names:
                select.value = chosen
            elif side == 0 and preferred:
                select.value = preferred
        self.query_one("#state", Plain).show("" if self.names else t("chat.nothing_to_ask"))

    def on_select_changed(self, event: Select.Changed) -> None:
        """A second model opens a second column."""
        if event.select.id == "model-1":
            self.query_one("#side-1").display = isinstance(event.value, str)

    async def action_side_by_side(self) -> None:
        """Compare with the model's own base, or with nothing again."""
        second = self.query_one("#model-1", Select)
        if isinstance(second.value, str):
            second.clear()
            return
        pair = await self.app.ask(lambda workbench: workbench.chats.pair())
        plain = pair[1] if pair else None
        if plain is not None:
            second.value = plain.name
        else:
            self.app.notify(t("chat.no_base_to_compare"), severity="warning", timeout=8)
            second.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask."""
        if (question := event.value.strip()) and self.ask_models(question):
            event.input.clear()

    def ask_models(self, question: str) -> bool:
        """Put a question to the chosen models; False if that is not possible now."""
        chosen = self._chosen()
        if self._waiting or not chosen:
            self.app.notify(t("chat.still_answering" if self._waiting else "chat.nothing_to_ask"), severity="warning")
            return False
        self._asked, self._answers, self._waiting = question, {}, len(chosen)
        for side, model in chosen.items():
            self._side(side).ask(question)
            self.answer(side, model, question)
        self.query_one("#state", Plain).show(t("chat.thinking"))
        return True

    @work(thread=True, group="answers")
    def answer(self, side: int, model: str, question: str) -> None:
        """Let one model answer, in a thread."""
        worker = get_current_worker()
        messages = messages_for(model, self.system, self.turns, question)
        try:
            with self.app.desk.opened() as workbench:
                held = self.talkers.hold(side, model, workbench)
            answer_aloud(held.client, side, model, messages, self.sampling, self.post_message, lambda: worker.is_cancelled)
        except ApplianceError as error:
            self.talkers.drop(side)
            self.app.call_from_thread(self.app.tell, error)
            self.post_message(Answered(side, ChatAnswer(model=model, text="", facts={"error": error.code})))

    async def on_piece(self, piece: Piece) -> None:
        """More of an answer."""
        await self._side(piece.side).more(piece.text)

    async def on_answered(self, message: Answered) -> None:
        """The end of an answer; with the last one the turn is remembered."""
        await self._side(message.side).finish(answer_facts(message.answer))
        self._answers[message.side] = message.answer
        self._waiting -= 1
        if self._waiting:
            return
        self.query_one("#state", Plain).show("")
        answers = tuple(answer for _, answer in sorted(self._answers.items()) if answer.text)
        if answers:
            await self._keep(ChatTurn(question=self._asked, answers=answers))

    async def _keep(self, turn: ChatTurn) -> None:
        position, chat = len(self.turns), self.chat
        self.turns = (*self.turns, turn)
        system, sampling = self.system, msgspec.to_builtins(self.sampling)

        def keep(workbench: Workbench) -> Chat:
            kept = chat or workbench.chats.begin(turn.question, system, sampling)
            workbench.chats.keep(kept.id, position, turn)
            return kept

        self.chat = await self.app.ask(keep) or chat

    def action_stop(self) -> None:
        """End the answers where they are; what was said stays."""
        self.workers.cancel_group(self, "answers")

    def action_retry(self) -> None:
        """Ask the last question again."""
        if self.turns and not self._waiting:
            last = self.turns[-1].question
            self._forget_last()
            self.ask_models(last)

    def action_edit_last(self) -> None:
        """Take the last question back into the field."""
        if self.turns and not self._waiting:
            field = self.query_one("#question", Input)
            field.value = self.turns[-1].question
            field.action_end()
            self._forget_last()
            field.focus()

    def _forget_last(self) -> None:
        self.turns = self.turns[:-1]
        for side in (0, 1):
            self._side(side).forget_last()

    def action_copy(self) -> None:
        """The last answer to the terminal's clipboard."""
        if self.turns:
            self.app.copy_to_clipboard("\n\n".join(answer.text for answer in self.turns[-1].answers))
            self.app.notify(t("chat.copied"))

    async def action_new(self) -> None:
        """Begin another chat; this one is kept."""
        await self.show_chat(None, ())

    def action_settings(self) -> None:
        """System prompt and sampling."""
        from tui.screens.chat_settings import ChatSettings, ChatSettingsScreen

        def chosen(settings: ChatSettings | None) -> None:
            if settings is not None:
                self.system, self.sampling = settings.system, settings.sampling

        self.app.push_screen(ChatSettingsScreen(ChatSettings(self.system, self.sampling)), chosen)

    def action_earlier(self) -> None:
        """Earlier chats."""
        from tui.screens.earlier_chats import EarlierChatsScreen

        self.app.push_screen(EarlierChatsScreen(), self._reopen)

    async def _reopen(self, chat_id: str | None) -> None:
        if chat_id is None:
            return
        found = await self.app.ask(lambda workbench: (workbench.chats.get(chat_id), workbench.chats.turns(chat_id)))
        if found is not None:
            await self.show_chat(*found)

    async def show_chat(self, chat: Chat | None, turns: tuple[ChatTurn, ...]) -> None:
        """Show a chat as it was, or an empty one."""
        self.chat, self.turns = chat, turns
        if chat is not None:
            self.system, self.sampling = chat.system, msgspec.convert(chat.sampling, Sampling)
            self._choose([answer.model for answer in turns[-1].answers] if turns else [])
        for side in (0, 1):
            await self._side(side).show(turns, side)

    def _choose(self, models: list[str]) -> None:
        """The models that were asked last, one per side, as far as they are still there."""
        for side, model in zip((0, 1), [*models, ""], strict=False):
            select = self.query_one(f"#model-{side}", Select)
            if model in self.names:
                select.value = model
            elif side == 1:
                select.clear()

    def _chosen(self) -> dict[int, str]:
        values = {side: self.query_one(f"#model-{side}", Select).value for side in (0, 1)}
        return {side: value for side, value in values.items() if isinstance(value, str)}

    def _side(self, side: int) -> Transcript:
        return self.query_one(f"#side-{side}", Transcript)

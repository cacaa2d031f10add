"""What was said on one side of a chat, the present answer streaming in as Markdown."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownStream

from appliance.domain.chat import ChatAnswer, ChatTurn
from tui.widgets.plain import Plain, harmless
from tui.words import t


class Transcript(VerticalScroll):
    """Questions and answers of one model."""

    DEFAULT_CSS = """
    Transcript { width: 1fr; height: 1fr; border: round $panel-lighten-2; padding: 0 1; }
    Transcript .question { color: $secondary; text-style: bold; height: auto; margin-top: 1; }
    Transcript .facts { color: $text-muted; height: auto; }
    Transcript Markdown { height: auto; padding: 0; margin: 0; }
    """

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # id and classes only
        self._stream: MarkdownStream | None = None

    def ask(self, question: str) -> None:
        """Show a question and make room for its answer."""
        answer = Markdown("", open_links=False, classes="answer")
        self.mount(Plain(f"❯ {question}", classes="question"), answer, Plain("", classes="facts"))
        self._stream = Markdown.get_stream(answer)
        self.anchor()

    async def more(self, text: str) -> None:
        """More of the answer."""
        if self._stream is not None:
            await self._stream.write(harmless(text))

    async def finish(self, facts: str) -> None:
        """The answer is whole."""
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
            self.query(".facts").last(Plain).show(facts)

    def forget_last(self) -> None:
        """Take the last question and its answer away."""
        for kind in (".question", ".answer", ".facts"):
            found = self.query(kind)
            if found:
                found.last().remove()

    async def show(self, turns: tuple[ChatTurn, ...], side: int) -> None:
        """Show what was said before; a turn in which this side was silent is left out."""
        await self.remove_children()
        for turn in turns:
            if side < len(turn.answers):
                answer = turn.answers[side]
                await self.mount(
                    Plain(f"❯ {turn.question}", classes="question"),
                    Markdown(harmless(answer.text), open_links=False, classes="answer"),
                    Plain(answer_facts(answer), classes="facts"),
                )
        self.scroll_end(animate=False)


def answer_facts(answer: ChatAnswer) -> str:
    """``police-1 · first token after 0.31 s · 24.5 tokens/s · 118 tokens``."""
    facts = answer.facts
    if "error" in facts:
        return f"✘ {harmless(answer.model)}"
    if facts.get("stopped"):
        return f"{harmless(answer.model)} · {t('chat.stopped')}"
    cut = f" · {t('chat.cut_off')}" if facts.get("finish_reason") == "length" else ""
    told = t(
        "chat.facts",
        first=float(facts.get("seconds_to_first_token", 0.0)),
        speed=float(facts.get("tokens_per_second", 0.0)),
        tokens=int(facts.get("completion_tokens", 0)),
    )
    return f"{harmless(answer.model)} · {told}{cut}"

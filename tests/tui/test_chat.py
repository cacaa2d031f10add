"""Chat by its keys: what was asked before, with the models that were asked, and settings that are typed at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, Markdown, Select

from appliance.domain.chat import ChatAnswer, ChatTurn
from appliance.domain.home import Home
from appliance.services.workbench import Workbench
from scripts.screens.sample_home import add_model
from tests.tui.support import play, until_seen
from tui.screens.chat import ChatScreen
from tui.screens.chat_settings import ChatSettingsScreen
from tui.talking import Piece
from tui.widgets.transcript import Transcript
from tui.words import t


def remembered(home: Home, title: str, models: tuple[str, ...]) -> None:
    """A chat of one turn in which these models were asked."""
    workbench = Workbench(home)
    chat = workbench.chats.begin(title, "", {})
    answers = tuple(ChatAnswer(model=model, text=f"{title} / {model}", facts={}) for model in models)
    workbench.chats.keep(chat.id, 0, ChatTurn(question=title, answers=answers))
    workbench.close()


def test_an_earlier_chat_opens_with_the_models_that_were_asked(tmp_path: Path) -> None:
    """Enter opens the newest one; two models are two columns again, one model is one column, and the question can be edited at its end."""
    home = Home(tmp_path)
    for name in ("plain-q4", "tuned-q4"):
        add_model(tmp_path, name, "gguf")
    remembered(home, "只问一个", ("plain-q4",))
    remembered(home, "并排比较", ("tuned-q4", "plain-q4"))

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f7")
        await until_seen(pilot, "tuned-q4")
        await pilot.press("ctrl+o")
        await until_seen(pilot, "并排比较")
        await pilot.press("enter")
        shown = await until_seen(pilot, "并排比较 / plain-q4")
        assert "并排比较 / tuned-q4" in shown
        selects = [pilot.app.screen.query_one(f"#model-{side}", Select) for side in (0, 1)]
        assert [select.value for select in selects] == ["tuned-q4", "plain-q4"]
        await pilot.press("ctrl+e", "x")
        assert pilot.app.screen.query_one("#question", Input).value == "并排比较x"
        await pilot.press("ctrl+o")
        await until_seen(pilot, t("chat.earlier"))
        await pilot.press("down", "enter")
        await until_seen(pilot, "只问一个 / plain-q4")
        assert selects[0].value == "plain-q4"
        assert not pilot.app.screen.query_one("#side-1").display

    play(home, story)


def test_the_system_prompt_is_typed_at_once(tmp_path: Path) -> None:
    """The settings open in their first field."""

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f7", "ctrl+s")
        await until_seen(pilot, t("dialog.take"))
        assert isinstance(pilot.app.screen, ChatSettingsScreen)
        await pilot.press(*"你是交警")
        await until_seen(pilot, "你是交警")

    play(Home(tmp_path), story)


def test_an_answer_goes_on_while_the_terminal_changes_its_size(tmp_path: Path) -> None:
    """Pieces that come between sizes are all there, on both sides, and the end of the answer is in sight."""
    home = Home(tmp_path)
    for name in ("plain-q4", "tuned-q4"):
        add_model(tmp_path, name, "gguf")

    async def story(pilot: Pilot[Any]) -> None:
        await pilot.press("f7")
        await until_seen(pilot, "tuned-q4")
        screen = pilot.app.screen
        assert isinstance(screen, ChatScreen)
        screen.query_one("#model-1", Select).value = "plain-q4"
        sides = [screen.query_one(f"#side-{side}", Transcript) for side in (0, 1)]
        for side in sides:
            side.ask("绿波带是什么？")
        for number, size in enumerate([(60, 15), (120, 40), (40, 12), (80, 24)]):
            for place in (0, 1):
                screen.post_message(Piece(place, f"第{number}段：相邻路口协调相位差。\n\n"))
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
        for side in sides:
            await side.finish("说完了")
        shown = await until_seen(pilot, "说完了")
        assert shown.count("第3段") == 2
        assert all(side.query_one(Markdown).source.count("段：") == 4 for side in sides)

    play(home, story)

"""Import a file: how it would be read, with its first rows, and every guess changeable before anything is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select

from appliance.domain.errors import ApplianceError
from appliance.domain.look import Look
from appliance.texts.speech import explain, human_bytes, say
from tui.host import HostApp
from tui.keys import bindings
from tui.screens.naming import suggested_name
from tui.widgets.plain import Plain, harmless
from tui.words import t

ENCODINGS = ("auto", "utf-8", "gb18030", "big5", "utf-16")
FIELDS = ("instruction", "input", "output", "system")
SHOWN_CHARS = 160


@dataclass(frozen=True)
class Import:
    """What the person decided."""

    path: Path
    name: str
    choices: dict[str, Any] = field(default_factory=dict)
    """Those of an import: ``format``, ``encoding``, ``columns``."""


class ImportScreen(ModalScreen[Import | None]):
    """One file's import."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    app: HostApp

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.look: Look | None = None
        self._offered: tuple[str, ...] = ()
        self._formats: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Name, what was recognised, choices, sample rows."""
        with VerticalScroll(classes="dialog wide", can_focus=False):
            yield Plain(t("data.import_file", name=harmless(self._path.name)), classes="message")
            with Horizontal(classes="row"):
                yield Plain(t("form.name"), classes="label")
                yield Input(suggested_name(self._path.stem), id="name", compact=True)
            with Horizontal(classes="row"):
                yield Plain(t("data.format"), classes="label")
                yield Select([(t("data.auto"), "auto")], value="auto", allow_blank=False, compact=True, id="format")
            with Horizontal(classes="row"):
                yield Plain(t("data.encoding"), classes="label")
                yield Select(
                    [(t("data.auto") if one == "auto" else one, one) for one in ENCODINGS],
                    value="auto",
                    allow_blank=False,
                    compact=True,
                    id="encoding",
                )
            yield Vertical(id="columns")
            yield Plain(t("data.looking"), id="seen", classes="hint")
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(t("data.import_it"), id="import", variant="primary", disabled=True, compact=True)

    def on_mount(self) -> None:
        """Look at once; the name is ready to be typed, and Enter in it imports."""
        self.query_one("#name", Input).focus()
        self.see()

    @work(exclusive=True, group="look")
    async def see(self) -> None:
        """Ask how the file would be read with the choices made so far."""
        choices = self.choices()
        self.look = None
        try:
            self.look = await self.app.desk.ask_slowly(lambda workbench: workbench.datasets.look(self._path, **choices))
        except ApplianceError as error:
            # What is wrong is said in place: the choices that may put it right stand beside it.
            message, _ = explain(error)
            self.query_one("#seen", Plain).show(f"✘ {message}\n{t('data.not_readable')}")
            await self._offer_columns(tuple(error.parameters.get("names", ())), {})
        else:
            self.query_one("#seen", Plain).show("\n".join(_told(self.look)))
            self._offer_formats(self.look.formats)
            names = dict.fromkeys(name for headings in self.look.headings for name in headings.names if name)
            await self._offer_columns(tuple(names), self.look.columns)
        self.query_one("#import", Button).disabled = self.look is None

    def _offer_formats(self, names: tuple[str, ...]) -> None:
        """What a file of this kind could be, beside what it was taken for; the choice stays."""
        if names == self._formats:
            return
        self._formats = names
        select: Select[str] = self.query_one("#format", Select)
        chosen = select.value
        with self.prevent(Select.Changed):
            select.set_options([(t("data.auto"), "auto"), *((name, name) for name in names)])
            select.value = chosen if chosen in names else "auto"

    async def _offer_columns(self, names: tuple[str, ...], guesses: dict[str, str]) -> None:
        """One choice per field of ours, made once: later looks keep what was chosen."""
        if not names or names == self._offered:
            return
        self._offered = names
        box = self.query_one("#columns")
        await box.remove_children()
        for one in FIELDS:
            guessed = guesses.get(one)
            select: Select[str] = Select(
                [(harmless(name), name) for name in names], prompt=t("form.none"), compact=True, id=f"column-{one}"
            )
            await box.mount(Horizontal(Plain(t(f"data.field_{one}"), classes="label"), select, classes="row"))
            if guessed in names:
                with self.prevent(Select.Changed):
                    select.value = guessed

    def choices(self) -> dict[str, Any]:
        """As an import takes them."""
        selects = {one: self.query(f"#column-{one}") for one in FIELDS}
        values = {one: found.first(Select).value for one, found in selects.items() if found}
        chosen = {one: str(self.query_one(f"#{one}", Select).value) for one in ("format", "encoding")}
        return {**chosen, "columns": {one: value for one, value in values.items() if isinstance(value, str)}}

    def on_select_changed(self) -> None:
        """Another choice: another look."""
        self.see()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Import, or not."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.take()

    def on_input_submitted(self) -> None:
        """Enter in the name imports, too, once the file was recognised."""
        if self.look is not None:
            self.take()

    def take(self) -> None:
        """Import it as it is shown."""
        self.dismiss(Import(self._path, self.query_one("#name", Input).value.strip(), self.choices()))


def _told(look: Look) -> list[str]:
    facts = [look.format, human_bytes(look.size)]
    if look.encoding:
        facts.append(look.encoding)
    lines = [t("data.recognised", facts=" · ".join(facts))]
    for row in look.rows:
        lines.append(f"── {row.get('source', '')}")
        lines += [f"{say('labels', 'role_' + one['role'])}: {_short(one['content'])}" for one in row.get("messages", ())]
        if "text" in row:
            lines.append(_short(row["text"]))
    for rejected in look.rejected:
        reason = say("problems", rejected.reason, **rejected.parameters)
        lines.append(f"✘ {t('data.line', line=rejected.line)}: {reason}  {_short(rejected.excerpt)}")
    return lines


def _short(text: str) -> str:
    return harmless(text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…")

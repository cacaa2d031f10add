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
FIELDS = ("instruction", "input", "output", "system", "text")
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
        """Name, choices, what was recognised; the buttons stay in sight."""
        with Vertical(classes="dialog wide tall"):
            yield Plain(t("data.import_file", name=harmless(self._path.name)), classes="message")
            with VerticalScroll(classes="reading"):
                yield from _row(t("form.name"), Input(suggested_name(self._path.stem), id="name", compact=True))
                yield from _row(t("data.format"), _choice("format", ("auto",)))
                yield from _row(t("data.encoding"), _choice("encoding", ENCODINGS))
                with Vertical(id="columns"):
                    for one in FIELDS:
                        select: Select[str] = Select([], prompt=t("form.none"), compact=True, id=f"column-{one}")
                        yield from _row(t(f"data.field_{one}"), select)
                yield Plain(t("data.looking"), id="seen", classes="hint")
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(t("data.import_it"), id="import", variant="primary", disabled=True, compact=True)

    def on_mount(self) -> None:
        """Look at once; the name is ready to be typed, and Enter in it imports."""
        self.query_one("#columns").display = False
        self.set_focus(self.query_one("#name", Input))
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
            names = tuple(error.parameters.get("names", ()))
            self.query_one("#seen", Plain).show(f"✘ {message}\n{t('data.choose_columns' if names else 'data.not_readable')}")
            self._offer_columns(names, {})
        else:
            self.query_one("#seen", Plain).show("\n".join(_told(self.look)))
            self._offer_formats(self.look.formats)
            there = dict.fromkeys(name for headings in self.look.headings for name in headings.names if name)
            self._offer_columns(tuple(there), self.look.columns)
        self.query_one("#import", Button).disabled = self.look is None

    def _offer_formats(self, names: tuple[str, ...]) -> None:
        """What a file of this kind could be, beside what it was taken for; the choice stays."""
        if names == self._formats:
            return
        self._formats = names
        select: Select[str] = self.query_one("#format", Select)
        chosen = select.value
        with self.prevent(Select.Changed):
            select.set_options([(t("data.auto"), "auto"), *((say("formats", name), name) for name in names)])
            select.value = chosen if chosen in names else "auto"

    def _offer_columns(self, names: tuple[str, ...], guesses: dict[str, str]) -> None:
        """What each field of ours may be read from; what was chosen stays, and so does the place where somebody is choosing."""
        if not names or names == self._offered:
            return
        is_first, self._offered = not self._offered, names
        for one in FIELDS:
            select: Select[str] = self.query_one(f"#column-{one}", Select)
            wanted = guesses.get(one) if is_first else select.value
            with self.prevent(Select.Changed):
                select.set_options([(harmless(name), name) for name in names])
                if isinstance(wanted, str) and wanted in names:
                    select.value = wanted
        self.query_one("#columns").display = True

    def choices(self) -> dict[str, Any]:
        """As an import takes them."""
        values = {one: self.query_one(f"#column-{one}", Select).value for one in FIELDS}
        chosen = {one: str(self.query_one(f"#{one}", Select).value) for one in ("format", "encoding")}
        return {**chosen, "columns": {one: value for one, value in values.items() if isinstance(value, str)}}

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another choice: another look. Read in another way the file has other columns."""
        if event.select.id in ("format", "encoding"):
            self._forget_columns()
        self.see()

    def _forget_columns(self) -> None:
        self._offered = ()
        for one in FIELDS:
            with self.prevent(Select.Changed):
                self.query_one(f"#column-{one}", Select).clear()

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


def _row(label: str, field: Input | Select[str]) -> ComposeResult:
    with Horizontal(classes="row"):
        yield Plain(label, classes="label")
        yield field


def _choice(name: str, values: tuple[str, ...]) -> Select[str]:
    shown = [(t("data.auto") if one == "auto" else one, one) for one in values]
    return Select(shown, value="auto", allow_blank=False, compact=True, id=name)


def _told(look: Look) -> list[str]:
    facts = [say("formats", look.format), human_bytes(look.size)]
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

"""Choose a file or folder: from a medium, or by typing its path."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, DirectoryTree, Input, Select

from appliance.texts.speech import human_bytes
from tui.host import HostApp
from tui.keys import bindings
from tui.widgets.plain import Plain, cell, harmless
from tui.words import t

ROOTS = ("~", "/")
"""Behind the mounted media: the user's own folder, then everything."""


class MediaTree(DirectoryTree):
    """A tree of files whose names are shown as they are, whatever they contain."""

    def process_label(self, label: TextType) -> Text:
        """A name as one line of plain text."""
        return cell(str(label))


class BrowseScreen(ModalScreen[Path | None]):
    """A tree and a field; the chosen path is the answer."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    app: HostApp

    def __init__(self, title: str, *, folders: bool = False) -> None:
        super().__init__()
        self._title = title
        self._folders = folders
        self._roots = [str(Path(root).expanduser()) for root in ROOTS]

    def compose(self) -> ComposeResult:
        """Where to look, what is there, and the path."""
        with Vertical(classes="dialog wide"):
            yield Plain(self._title, classes="message")
            yield Select([(root, root) for root in self._roots], value=self._roots[0], allow_blank=False, compact=True)
            yield MediaTree(self._roots[0])
            yield Input(placeholder=t("form.path"), id="path", compact=True)
            with Horizontal(classes="buttons"):
                yield Plain(t("dialog.keys"), classes="keys quiet")
                yield Button(t("dialog.no"), id="no", compact=True)
                yield Button(t("dialog.choose"), id="choose", variant="primary", compact=True)

    def on_mount(self) -> None:
        """The tree is what one came for."""
        self.query_one(DirectoryTree).focus()
        self.look_for_media()

    @work(exclusive=True, group="media")
    async def look_for_media(self) -> None:
        """Mounted media come first; a medium that hangs keeps nobody waiting."""
        media = await self.app.ask(lambda workbench: workbench.media.mounted(), slowly=True)
        if media:
            shown = [(f"{harmless(one.path)}  {human_bytes(one.total)}" if one.total else harmless(one.path), one.path) for one in media]
            select, tree = self.query_one(Select), self.query_one(DirectoryTree)
            is_untouched = tree.path == Path(self._roots[0])
            chosen = media[0].path if is_untouched else select.value
            with self.prevent(Select.Changed):
                select.set_options([*shown, *((root, root) for root in self._roots)])
                select.value = chosen
            if is_untouched:  # who has gone somewhere meanwhile stays there
                tree.path = Path(media[0].path)

    def on_select_changed(self, event: Select.Changed) -> None:
        """Look elsewhere."""
        self.query_one(DirectoryTree).path = Path(str(event.value))

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """A file goes into the field."""
        event.stop()
        self.query_one("#path", Input).value = harmless(str(event.path))
        self.query_one("#choose").focus()

    def on_directory_tree_directory_selected(self, event: DirectoryTree.DirectorySelected) -> None:
        """A folder goes into the field when folders are wanted."""
        event.stop()
        if self._folders:
            self.query_one("#path", Input).value = harmless(str(event.path))

    def on_input_submitted(self) -> None:
        """Enter takes the path."""
        self.choose()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the path, or nothing."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.choose()

    @work(exclusive=True)
    async def choose(self) -> None:
        """Take the path if there is something."""
        typed = self.query_one("#path", Input).value.strip()
        path = await self.app.ask(lambda _workbench: _existing(typed, self._folders))
        if path is not None and path.is_dir() and not self._folders:
            # A folder is no file to import, but the way to one.
            self.query_one(DirectoryTree).path = path
            self.query_one("#path", Input).clear()
            self.query_one(DirectoryTree).focus()
        elif path is not None:
            self.dismiss(path)
        else:
            self.app.notify(t("form.nothing_there"), severity="error")


def _existing(typed: str, folder: bool) -> Path | None:
    path = Path(typed).expanduser()
    return path if typed and (path.is_dir() if folder else path.exists()) else None

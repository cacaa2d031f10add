"""What a model was made from, as a tree."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from appliance.texts.speech import say
from tui.host import HostApp
from tui.keys import bindings
from tui.widgets.bars import keys_line
from tui.widgets.plain import Plain, harmless
from tui.words import t


class LineageScreen(ModalScreen[None]):
    """The tree of one model's parents."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    app: HostApp

    def __init__(self, model_id: str) -> None:
        super().__init__()
        self._model_id = model_id

    def compose(self) -> ComposeResult:
        """A tree in the middle."""
        with Vertical(classes="dialog wide") as box:
            box.border_subtitle = keys_line("dialog")
            yield Plain(t("models.lineage_title"), classes="message")
            yield Tree[None]("")

    def on_mount(self) -> None:
        """Ask for it."""
        self.fill()

    @work(exclusive=True)
    async def fill(self) -> None:
        """Root first, parents below."""
        node = await self.app.ask(lambda workbench: workbench.models.lineage(self._model_id))
        if node is not None:
            tree = self.query_one(Tree)
            tree.root.set_label(_label(node))
            _grow(tree.root, node)
            tree.root.expand_all()
            tree.focus()


class DependantsScreen(ModalScreen[None]):
    """What was made from something that therefore cannot be removed."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dialog")]

    def __init__(self, node: dict[str, Any]) -> None:
        super().__init__()
        self._node = node

    def compose(self) -> ComposeResult:
        """Why not, and the tree."""
        with Vertical(classes="dialog wide") as box:
            box.border_subtitle = keys_line("dialog")
            yield Plain(t("models.still_needed", name=harmless(self._node["name"])), classes="message")
            yield Tree[None](_label(self._node))

    def on_mount(self) -> None:
        """Root first, what was made from it below."""
        tree = self.query_one(Tree)
        _grow(tree.root, self._node, "children")
        tree.root.expand_all()
        tree.focus()


def _grow(place: TreeNode[None], node: dict[str, Any], below: str = "parents") -> None:
    for other in node[below]:
        if other[below]:
            _grow(place.add(_label(other)), other, below)
        else:
            place.add_leaf(_label(other))


def _label(node: dict[str, Any]) -> Text:
    role = f"{say('labels', 'role_' + node['role'])}: " if node["role"] else ""
    return Text(harmless(f"{role}{node['name']} ({say('labels', 'kind_' + node['kind'])})"))

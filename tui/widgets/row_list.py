"""A list of very many rows: only those in sight, and a few pages around them, are ever held."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.plain import harmless

HELD_PAGES = 24


class RowList(ScrollView, can_focus=True):
    """One line per row; pages it has not got are asked for by ``Wanted`` and given by ``give``."""

    DEFAULT_CSS = """
    RowList { height: 1fr; }
    RowList > .row-list--cursor { background: $primary; color: $background; text-style: $block-cursor-text-style; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move_pages(-1)", show=False),
        Binding("pagedown", "move_pages(1)", show=False),
        Binding("home", "move_to_end(-1)", show=False),
        Binding("end", "move_to_end(1)", show=False),
    ]

    cursor: reactive[int] = reactive(0)
    """Index of the chosen row."""

    class Wanted(Message):
        """A page that came into sight."""

        def __init__(self, page: int) -> None:
            super().__init__()
            self.page = page

    class Moved(Message):
        """Another row was chosen."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, page_rows: int, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # id and classes only
        self._page_rows = page_rows
        self._count = 0
        self._pages: OrderedDict[int, list[str]] = OrderedDict()
        self._asked: set[int] = set()

    def begin(self, count: int) -> None:
        """Show another ``count`` rows."""
        self._count = count
        self._pages.clear()
        self._asked.clear()
        self.cursor = 0
        self.virtual_size = Size(self.size.width, count)
        self.scroll_home(animate=False)
        self.refresh()

    def give(self, page: int, lines: list[str]) -> None:
        """A page's rows, one line each."""
        self._asked.discard(page)
        self._pages[page] = [harmless(line.replace("\n", " ")) for line in lines]
        self._pages.move_to_end(page)
        while len(self._pages) > HELD_PAGES:
            self._pages.popitem(last=False)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The row at line ``y`` of what is in sight."""
        index, width = self.scroll_offset.y + y, self.size.width
        if index >= self._count:
            return Strip.blank(width, self.rich_style)
        style = self.get_component_rich_style("row-list--cursor") if index == self.cursor else self.rich_style
        text = self._line(index)
        return Strip([Segment(f"{index + 1:>9,}  {text}", style)]).adjust_cell_length(width, style)

    def _line(self, index: int) -> str:
        page, place = divmod(index, self._page_rows)
        held = self._pages.get(page)
        if held is None:
            if page not in self._asked:
                self._asked.add(page)
                self.post_message(self.Wanted(page))
            return "…"
        return held[place] if place < len(held) else ""

    def watch_cursor(self, index: int) -> None:
        """Keep the chosen row in sight and tell about it."""
        if self._count:
            self.scroll_to_region(Region(0, index, 1, 1), animate=False, force=True)
            self.post_message(self.Moved(index))
        self.refresh()

    def action_move(self, rows: int) -> None:
        """Up or down."""
        self.cursor = max(0, min(self._count - 1, self.cursor + rows))

    def action_move_pages(self, pages: int) -> None:
        """As far as one can see."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_move_to_end(self, side: int) -> None:
        """The first or the last row."""
        self.cursor = 0 if side < 0 else max(0, self._count - 1)

    def go_to(self, index: int) -> None:
        """A row by its index."""
        self.cursor = max(0, min(self._count - 1, index))

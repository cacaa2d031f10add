"""A run's figures drawn over its steps."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual_plotext import PlotextPlot

from appliance.domain.curve import Point, thinned
from appliance.texts.speech import say
from tui.widgets.plain import Plain
from tui.widgets.states import figure

PICTURES: tuple[tuple[str, ...], ...] = (
    ("loss", "validation_loss", "general_loss"),
    ("learning_rate",),
    ("tokens_per_second",),
    ("grad_norm",),
)
"""Figures that are drawn together; one picture at a time."""

_POINTS_OF_A_COLUMN = 4
"""A column of braille has two dots side by side, each of which shows the lowest and the highest value of its stretch."""
_MARKERS = ("braille", "dot", "sd")
_COLOURS = ("green", "yellow", "cyan")


class Curves(Vertical):
    """The chosen picture of a run's figures."""

    DEFAULT_CSS = """
    Curves PlotextPlot { height: 1fr; }
    Curves #curve-names { height: 1; }
    """

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # id and classes only
        self._points: dict[str, list[Point]] = {}
        self._picture = 0
        self._drawn = -1

    def compose(self) -> ComposeResult:
        """Names with their newest figures, then the plot."""
        yield Plain("", id="curve-names")
        plot = PlotextPlot()
        plot.display = False
        yield plot

    def add(self, name: str, step: int, value: float) -> None:
        """One more point of a figure; ``draw`` shows it."""
        self._points.setdefault(name, []).append((step, value))

    @property
    def has_points(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self._points)

    def next(self) -> None:
        """The next picture that has points."""
        there = [index for index, names in enumerate(PICTURES) if any(name in self._points for name in names)]
        if there:
            self._picture = next((index for index in there if index > self._picture), there[0])
        self._drawn = -1
        self.draw()

    def draw(self) -> None:
        """Draw what is new."""
        points = sum(map(len, self._points.values()))
        if points == self._drawn:
            return
        self._drawn = points
        names = [name for name in PICTURES[self._picture] if self._points.get(name)]
        self.query_one("#curve-names", Plain).show(
            "  ".join(f"{'●◆■'[place]} {say('labels', name)} {figure(name, self._points[name][-1][1])}" for place, name in enumerate(names))
        )
        plot = self.query_one(PlotextPlot)
        plot.display = bool(names)
        plot.plt.clear_data()
        visible = _POINTS_OF_A_COLUMN * max(plot.size.width, self.app.size.width // 2)
        for place, name in enumerate(names):
            steps, values = zip(*thinned(self._points[name], visible), strict=True)
            plot.plt.plot(list(steps), list(values), marker=_MARKERS[place], color=_COLOURS[place])
        plot.refresh()

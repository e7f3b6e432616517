"""The plot of the throughput panel. Imported late: with numpy it takes about 70 ms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Grid
from textual.strip import Strip
from textual_plot import HiResMode, PlotWidget
from textual_plot.plot_widget import Canvas, Legend

from app.state.side.snapshot import WINDOW_SECONDS

TIMES = (-60.0, -45.0, -30.0, -15.0, 0.0)
LABEL_CELLS = 6
NARROW = 42
"""Below this width every second time has a label."""
MODES = (HiResMode.BRAILLE, HiResMode.QUADRANT)
"""Fine dots on the left, quarter blocks on the right: they can be told apart without colours."""

Run = Sequence[tuple[float, float]]
"""(seconds from now, rate), of at least two moments."""


class TimeLabels:
    """Texts below the time axis."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """`-45s` … `now`."""
        return ["now" if tick == 0 else f"{tick:.0f}s" for tick in ticks]


class RateLabels:
    """Texts beside the rate axis, five characters at most."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """`0`, `250`, `20k`, `1M`."""
        return [_short(tick) for tick in ticks]


class StyledCanvas(Canvas):  # type: ignore[misc]
    """A canvas whose lines always have a style.

    Until it knows its size, a Canvas gives lines without one, and Textual's filter for NO_COLOR (8.2.8) fails
    on these.
    """

    def render_line(self, y: int) -> Strip:
        """Draw a line, blank where there is nothing yet."""
        strip: Strip = super().render_line(y)
        return strip if strip.cell_length else Strip.blank(self.size.width, self.rich_style)


class RatePlot(PlotWidget, can_focus=False):  # type: ignore[misc, call-arg]
    """Lines of the last minute above a time axis, from 0 up to a given rate."""

    def __init__(self) -> None:
        """Create an empty plot."""
        super().__init__(allow_pan_and_zoom=False)
        self._shown: object = None
        self.set_x_formatter(TimeLabels())
        self.set_y_formatter(RateLabels())

    def compose(self) -> ComposeResult:
        """The parts of a PlotWidget, by the names it looks for, on our canvas."""
        with Grid():
            for part in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield StyledCanvas(1, 1, id=part)
        yield Legend(id="legend")

    def on_mount(self, event: events.Mount) -> None:
        """Leave room for the labels only."""
        if not self.children:
            event.prevent_default()  # the app is closing: nothing was composed that could be laid out
            return
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, LABEL_CELLS

    def _update_margin_sizes(self) -> None:
        # Also called by the watchers after a mount without children, as above.
        if self.children:
            super()._update_margin_sizes()

    def draw(self, lines: Iterable[tuple[str, Sequence[Run]]], top: float, width: int) -> None:
        """Draw (colour, runs) of left and right, up to the rate `top`, in so many cells."""
        wanted = tuple(lines), top, width
        if wanted == self._shown:
            return
        self._shown = wanted
        self.clear()
        self.set_xlimits(-WINDOW_SECONDS, 0.0)
        self.set_ylimits(0.0, top)
        self.set_yticks((0.0, top / 2, top))
        self.set_xticks(TIMES if width >= NARROW else TIMES[::2])
        for (colour, runs), mode in zip(wanted[0], MODES, strict=True):
            for run in runs:
                moments, rates = zip(*run, strict=True)
                self.plot(moments, rates, line_style=colour, hires_mode=mode)
        self.render()  # onto the canvases now: with the next update of the screen they would need one more


def _short(rate: float) -> str:
    for divisor, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if rate >= divisor:
            return f"{rate / (1e3 if suffix == 'k' else divisor):g}{suffix}"
    return f"{rate:g}"

"""The plot of the throughput panel. Imported after the first frame: with numpy that takes about 70 ms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Grid
from textual.strip import Strip
from textual_plot import HiResMode, PlotWidget
from textual_plot.plot_widget import Canvas, Legend

from app.state.side.rate_series import WINDOW_SECONDS

TIMES = (-60.0, -45.0, -30.0, -15.0, 0.0)
LABEL_CELLS = 6
NARROW = 42
"""Below this width every second tick has a label."""
MODES = (HiResMode.BRAILLE, HiResMode.QUADRANT)
"""Braille dots for the left side, quarter blocks for the right: distinguishable without colours."""

Run = Sequence[tuple[float, float]]
"""At least two pairs of (seconds from now, rate)."""


class TimeLabels:
    """Labels of the time axis."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `-45s` and `now`."""
        return ["now" if tick == 0 else f"{tick:.0f}s" for tick in ticks]


class RateLabels:
    """Labels of the rate axis, of at most five characters."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `0`, `250`, `20k` and `1M`."""
        return [_short(tick) for tick in ticks]


class StyledCanvas(Canvas):  # type: ignore[misc]
    """A canvas whose lines always have a style.

    A Canvas without a size returns lines without a style, on which Textual's NO_COLOR filter (8.2.8) fails.
    """

    def render_line(self, y: int) -> Strip:
        """Return the line, blank before the first drawing."""
        strip: Strip = super().render_line(y)
        return strip if strip.cell_length else Strip.blank(self.size.width, self.rich_style)


class RatePlot(PlotWidget, can_focus=False):  # type: ignore[misc, call-arg]
    """Line plot of both sides' rates over the last minute, from 0 to a given rate."""

    def __init__(self) -> None:
        """Create an empty plot."""
        super().__init__(allow_pan_and_zoom=False)
        self._shown: object = None
        self.set_x_formatter(TimeLabels())
        self.set_y_formatter(RateLabels())

    def compose(self) -> ComposeResult:
        """Yield the parts of a PlotWidget under the ids that it queries, with `StyledCanvas`."""
        with Grid():
            for part in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield StyledCanvas(1, 1, id=part)
        yield Legend(id="legend")

    def on_mount(self, event: events.Mount) -> None:
        """Set the margins to the size of the labels."""
        if not self.children:
            event.prevent_default()  # the app is closing: nothing was composed that could be laid out
            return
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, LABEL_CELLS

    def _update_margin_sizes(self) -> None:
        # Also called by the watchers after a mount without children, as above.
        if self.children:
            super()._update_margin_sizes()

    def draw(self, lines: Iterable[tuple[str, Sequence[Run]]], top: float, width: int) -> None:
        """Draw the lines of both sides.

        Args:
            lines: (colour, runs) of the left and the right side.
            top: Upper end of the rate axis, in tok/s.
            width: Of the panel's content, in cells.
        """
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
        self.render()  # draw on the canvases now, which saves one update of the screen


def _short(rate: float) -> str:
    for divisor, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if rate >= divisor:
            return f"{rate / (1e3 if suffix == 'k' else divisor):g}{suffix}"
    return f"{rate:g}"

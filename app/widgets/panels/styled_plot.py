"""A PlotWidget without pan and zoom, with the parts that it queries. Importing it imports numpy."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Grid
from textual.strip import Strip
from textual_plot import PlotWidget
from textual_plot.plot_widget import Canvas, Legend


class StyledCanvas(Canvas):  # type: ignore[misc]
    """A canvas whose lines always have a style.

    A Canvas without a size returns lines without a style, on which Textual's NO_COLOR filter (8.2.8) fails.
    """

    def render_line(self, y: int) -> Strip:
        """Return the line, blank before the first drawing."""
        strip: Strip = super().render_line(y)
        return strip if strip.cell_length else Strip.blank(self.size.width, self.rich_style)


class StyledPlot(PlotWidget, can_focus=False):  # type: ignore[misc, call-arg]
    """The base of the plots.

    Attributes:
        label_cells: width of the labels of the vertical axis.
    """

    label_cells: ClassVar[int] = 6

    def __init__(self) -> None:
        """Create an empty plot."""
        super().__init__(allow_pan_and_zoom=False)

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
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, self.label_cells

    def _update_margin_sizes(self) -> None:
        # Also called by the watchers after a mount without children, as above.
        if self.children:
            super()._update_margin_sizes()

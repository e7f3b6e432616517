"""The plot next to the card: KL divergence against size, or what to do while nothing is measured."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from app.terminal_text import displayable
from app.widgets.quality.colours import rich_colour
from engines.compare.comparison import Comparison
from engines.compare.report.scatter import points

if TYPE_CHECKING:
    from app.widgets.quality.scatter_plot import ScatterPlot

LEAST_LINES = 6
"""Below this height the plot is hidden."""
NOTHING = (
    "Nothing is measured yet.\n\nPress m to measure every engine marked ○ against {reference}. One after the "
    "other they are built or taken from the store, loaded, asked to predict the {texts} and to answer 60 "
    "questions, timed, and closed again.\n\nEsc cancels; what is finished is kept. t chooses other texts: "
    "the conversation, or a file."
)


class QualityPlot(Container):
    """Draws the engines that are measured."""

    _plot: ScatterPlot | None = None
    _comparison: Comparison | None = None
    _chosen = ""

    def compose(self) -> ComposeResult:
        """Yield the text for an empty plot."""
        yield Static(id="quality-nothing", markup=False)

    def on_mount(self) -> None:
        """Import and mount the plot after the first frame."""
        self.border_title = "Mean KLD in nats (log) against the weights in MB"
        self.call_after_refresh(self.run_worker, self._mount_plot, group="plot", exit_on_error=False)

    async def _mount_plot(self) -> None:
        module = await asyncio.to_thread(import_module, "app.widgets.quality.scatter_plot")
        plot: ScatterPlot = module.ScatterPlot()
        plot.display = False
        await self.mount(plot)
        self._plot = plot
        self.redraw()

    def show(self, comparison: Comparison | None, chosen: str, reference: str, texts: str) -> None:
        """Show the engines of a comparison.

        Args:
            chosen: title of the engine under the cursor.
            reference: title of the reference, for the text of an empty plot.
            texts: what the set of texts is called.
        """
        self._comparison, self._chosen = comparison, chosen
        words = NOTHING.format(reference=reference, texts=texts)
        self.query_one("#quality-nothing", Static).update(displayable(words))
        self.redraw()

    def notify_style_update(self) -> None:
        """Take the colours from the new theme."""
        super().notify_style_update()
        if self.is_mounted:
            self.call_later(self.redraw)

    @on(events.Resize)
    @on(events.Show)
    def redraw(self) -> None:
        """Draw the plot for the size that it has."""
        found = points(self._comparison) if self._comparison else []
        for text in self.query("#quality-nothing"):
            text.display = not found
        self.border_subtitle = "line: no engine is both smaller and closer" if found else ""
        if self._plot is None or not self.display:
            return
        self._plot.display = bool(found) and self.content_size.height >= LEAST_LINES
        if self._comparison and self._plot.display:
            from app.widgets.quality.scatter_plot import Colours

            names = ("left", "foreground", "accent", "secondary")
            colours = Colours(*(rich_colour(self.app, name) for name in names))
            self._plot.draw(found, self._comparison.noise_floor, self._chosen, colours)

"""Decode tok/s of both sides over the last minute."""

from __future__ import annotations

import asyncio
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.content import Content

from app.state.side.phase import Phase
from app.state.side.rate_series import WINDOW_SECONDS
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import rate_text
from app.widgets.panels.drawing import MUTED, fit_pieces, lines, nice_ceiling, one_line, sparkline
from app.widgets.panels.panel import NO_ENGINE, Panel, has_engine, sides
from app.widgets.panels.rate_lines import decoding, thinned, unbroken

if TYPE_CHECKING:
    from app.widgets.panels.rate_plot import RatePlot

STALE_SECONDS = 2.0
"""Samples older than this are not shown as the current rate."""
PLOT_LINES = 5
"""Minimum lines of a plot: two of its frame, one of labels, two of drawing."""
TWO_LINE_LEGEND_WIDTH = 60
"""Below this width the legend may take two lines."""
MIN_TITLE_CELLS = 5
DOTS_PER_CELL = 2
"""Columns of dots in a cell of the plot."""
MARKS = ("⠒⠒", "▀▀")
"""Samples of the left and the right line, for the legend."""


class ThroughputPanel(Panel):
    """Plot, or sparklines on few lines, of both sides' decode rate."""

    TITLE: ClassVar[str] = "Decode tok/s"
    LEGEND: ClassVar[str] = "last 60 s"
    SUMMARY: ClassVar[str] = "Tokens per second of each side while it decodes, over the last 60 seconds."
    HELP = """\
### Decode tok/s

Tokens per second while a side **decodes**: 1 / TPOT. Prefill is excluded; TTFT measures it.

Both sides share the time axis and the rate axis, which starts at 0. A line is interrupted where a side
generated nothing. Sides that run *together* on one device share its bandwidth: only *in turn* measures the
speed of each side alone.
"""
    _plot: RatePlot | None = None

    def on_mount(self) -> None:
        """Import and mount the plot after the first frame."""
        self.call_after_refresh(self.run_worker, self._mount_plot, group="plot", exit_on_error=False)

    async def _mount_plot(self) -> None:
        module = await asyncio.to_thread(import_module, "app.widgets.panels.rate_plot")
        plot: RatePlot = module.RatePlot()
        plot.display = False
        await self.mount(plot)
        self._plot = plot
        self._draw_plot()

    def show(self, snapshot: Snapshot) -> None:
        """Show `snapshot` in the legend and in the plot."""
        super().show(snapshot)
        self._draw_plot()

    def notify_style_update(self) -> None:
        """Take the lines' colours from the new theme."""
        super().notify_style_update()
        if self.is_mounted:
            self.call_later(self._draw_plot)

    @on(events.Resize)
    @on(events.Show)
    def redraw(self) -> None:
        """Draw the plot for the new size, or hide it if it does not fit."""
        self._draw_plot()

    def _draw_plot(self) -> None:
        plot, snapshot = self._plot, self.snapshot
        if plot is None or not self.is_displayed:
            return
        engines = snapshot is not None and (has_engine(snapshot.left) or has_engine(snapshot.right))
        plot.display = engines and self.content_size.height > PLOT_LINES
        if snapshot is None or not plot.display:
            return
        legend_lines = self.legend_lines
        if plot.styles.margin.top != legend_lines:
            plot.styles.margin = (legend_lines, 0, 0, 0)
        colours = (self.app.theme_variables.get(name, "default") for name in ("left", "right"))
        width = self.content_size.width
        step = WINDOW_SECONDS / max(1, DOTS_PER_CELL * width)
        # Rounded to a step: within it no dot moves, so that the plot does not draw again.
        now = snapshot.now // step * step
        runs = (unbroken(thinned(side.rates, step, now), now) for *_, side in sides(snapshot))
        plot.draw(zip(colours, runs, strict=True), shared_top(snapshot), width)

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw the legend above the plot; sparklines if the plot does not fit."""
        if not (has_engine(snapshot.left) or has_engine(snapshot.right)):
            return Content.styled(NO_ENGINE, MUTED)
        if height <= PLOT_LINES or self._plot is None:
            return self.draw_folded(snapshot, width, height)
        if self.legend_lines == 1:
            return fit_pieces(_legend(snapshot, width), width)
        return lines((piece for row in (0, 1) for piece in _legend(snapshot, width, row)), 2)

    @property
    def legend_lines(self) -> int:
        """Return 2 if one line is too short for both titles and the plot keeps enough height, else 1."""
        width, height = self.content_size
        return 2 if width < TWO_LINE_LEGEND_WIDTH and height > PLOT_LINES + 3 else 1

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw a sparkline per side: on two lines, or next to each other on one."""
        if not (has_engine(snapshot.left) or has_engine(snapshot.right)):
            return self.empty()
        top = shared_top(snapshot)
        titled = self.is_folded
        room = width - len("tok/s ") if titled else width
        each = room if height > 1 else (room - 2) // 2
        rows = [
            _spark(letter, style, side, snapshot.now, top, each) for letter, style, side in sides(snapshot)
        ]
        if height > 1:
            heads = ("tok/s ", "      ") if titled else ("", "")
            return lines(
                (Content.assemble((head, "bold"), row) for head, row in zip(heads, rows, strict=True)), 2
            )
        return Content.assemble(("tok/s ", "bold"), rows[0], "  ", rows[1])


def shared_top(snapshot: Snapshot) -> float:
    """Return the top of the rate axis, shared by both sides so that they can be compared."""
    rates = [rate for side in (snapshot.left, snapshot.right) for _, rate in side.rates if isfinite(rate)]
    return nice_ceiling(max(rates, default=0.0))


def current_rate(side: SideSnapshot, now: float) -> float | None:
    """Return the rate in tok/s; None if the side does not decode or has no recent sample."""
    if side.phase is not Phase.DECODE or not side.rates or side.rates[-1][0] < now - STALE_SECONDS:
        return None
    return side.rates[-1][1]


def state_text(side: SideSnapshot, now: float) -> str:
    """Return `182 tok/s` while the side decodes, else its phase and the last known rate."""
    if not has_engine(side):
        return str(Phase.EMPTY)
    rate = current_rate(side, now)
    if rate:
        return rate_text(rate)
    return f"{side.phase}, last {rate_text(side.last_rate)}" if side.last_rate else f"{side.phase}"


def _legend(snapshot: Snapshot, width: int, only: int | None = None) -> list[Content]:
    """Return mark, letter, title and rate of both sides, or of `only` one; titles share the spare width."""
    rows = list(zip(sides(snapshot), MARKS, strict=True))
    rows = rows if only is None else [rows[only]]
    states = [state_text(side, snapshot.now) for (*_, side), _ in rows]
    if sum(len(state) for state in states) > width - 20 * len(rows):
        states = [state.partition(",")[0] for state in states]
    room = max(0, width - sum(len(state) + len("⠒⠒ L  ") for state in states) - 2 * (len(rows) - 1))
    others = sum(cell_len(side.title) for (*_, side), _ in rows[1:])
    limit = max(room // len(rows), room - others)
    pieces = []
    for ((letter, style, side), mark), state in zip(rows, states, strict=True):
        title = one_line(side.title, limit) if limit >= MIN_TITLE_CELLS else ""
        limit = room - cell_len(title)
        head = (f"{mark} {letter} ", f"bold {style}")
        pieces.append(Content.assemble(head, (f"{title} " if title else "", style), (state, "bold")))
    return pieces


def _spark(letter: str, style: str, side: SideSnapshot, now: float, top: float, width: int) -> Content:
    state = state_text(side, now)
    room = width - len(letter) - len(state) - 2
    title = one_line(side.title, min(room // 3, 24)) if room >= 30 else ""
    cells = room - (len(title) + 1 if title else 0)
    drawn = sparkline(decoding(side.rates), now, top, cells) if cells > 3 else ""
    return Content.assemble(
        (f"{letter} ", f"bold {style}"),
        (f"{title} " if title else "", style),
        (drawn, style),
        (f" {state}", ""),
    )

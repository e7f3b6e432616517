"""Decode tok/s of both sides, by token of the last answer; in full screen over the last minute."""

from __future__ import annotations

import asyncio
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.content import Content

from app.state.side.phase import Phase
from app.state.side.rate_curve import Curve
from app.state.side.rate_series import WINDOW_SECONDS
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import live_rate_text, rate_text
from app.widgets.panels.drawing import MUTED, fit_pieces, lines, nice_ceiling, one_line, sparkline
from app.widgets.panels.panel import NO_ENGINE, Panel, has_engine, sides
from app.widgets.panels.rate_lines import Axes, decoding, thinned, unbroken

if TYPE_CHECKING:
    from app.widgets.panels.rate_plot import RatePlot

STALE_SECONDS = 2.0
"""Samples older than this are not shown as the current rate."""
PLOT_LINES = 5
"""Minimum lines of a plot: two of its frame, one of labels, two of drawing."""
TWO_LINE_LEGEND_WIDTH = 60
"""Below this width the legend may take two lines."""
MIN_TITLE_CELLS, MIN_BACKEND_CELLS = 5, 2
FEWEST_TOKENS = 16
"""End of the token axis before there is an answer."""
DOTS_PER_CELL = 2
"""Columns of dots in a cell of the plot."""
MARKS = ("⠒⠒", "▀▀")
"""Samples of the left and the right line, for the legend."""


class ThroughputPanel(Panel):
    """Plot, or sparklines on few lines, of both sides' decode rate."""

    TITLE: ClassVar[str] = "Decode tok/s"
    LEGEND: ClassVar[str] = "by token"
    SUMMARY: ClassVar[str] = "Tokens per second of each side while it decodes, by token of its last answer."
    HELP = """\
### Decode tok/s

Tokens per second while a side **decodes**: 1 / TPOT. Prefill is excluded; TTFT measures it.

Both answers begin at the left and share the axes: to the right tokens, upwards the rate, from 0. So a short
answer and a long one can be compared token by token. In full screen (**F7**) the horizontal axis is the last
minute. Sides that run *together* on one device share its bandwidth: only *in turn* measures the speed of each
side alone, or *together* on two GPUs.
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
        over_time = self.screen.maximized is self
        runs = _last_minute(snapshot, width) if over_time else _by_token(snapshot)
        plot.draw(zip(colours, runs, strict=True), axes(snapshot, over_time=over_time), width)

    def legend(self, snapshot: Snapshot) -> str:
        """Return the meaning of the horizontal axis."""
        return "last 60 s" if self.screen.maximized is self else self.LEGEND

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
        others = snapshot.right, snapshot.left
        rows = [
            _spark(row, other, snapshot.now, top, each)
            for row, other in zip(sides(snapshot), others, strict=True)
        ]
        if height > 1:
            heads = ("tok/s ", "      ") if titled else ("", "")
            return lines(
                (Content.assemble((head, "bold"), row) for head, row in zip(heads, rows, strict=True)), 2
            )
        return Content.assemble(("tok/s ", "bold"), rows[0], "  ", rows[1])


def shared_top(snapshot: Snapshot) -> float:
    """Return the top of the rate axis over time, shared by both sides so that they can be compared."""
    rates = [rate for side in (snapshot.left, snapshot.right) for _, rate in side.rates if isfinite(rate)]
    return nice_ceiling(max(rates, default=0.0))


def axes(snapshot: Snapshot, *, over_time: bool) -> Axes:
    """Return the axes that both sides share: by token, or over the last minute."""
    if over_time:
        return Axes(shared_top(snapshot), None)
    points = [point for side in (snapshot.left, snapshot.right) for point in side.curve]
    top = nice_ceiling(max((rate for _, rate in points), default=0.0))
    return Axes(top, max((token for token, _ in points), default=FEWEST_TOKENS))


def _by_token(snapshot: Snapshot) -> list[list[Curve]]:
    """Return one line for each side that has an answer; one of two moments is a horizontal line."""
    curves = [side.curve for *_, side in sides(snapshot)]
    return [[((1, curve[0][1]), *curve)] if curve else [] for curve in curves]


def _last_minute(snapshot: Snapshot, width: int) -> list[list[list[tuple[float, float]]]]:
    """Return the lines of each side, interrupted where it generated nothing."""
    step = WINDOW_SECONDS / max(1, DOTS_PER_CELL * width)
    # Rounded to a step: within it no dot moves, so that the plot does not draw again.
    now = snapshot.now // step * step
    return [unbroken(thinned(side.rates, step, now), now) for *_, side in sides(snapshot)]


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
        return live_rate_text(rate)
    return f"{side.phase}, last {rate_text(side.last_rate)}" if side.last_rate else f"{side.phase}"


def label(side: SideSnapshot, other: SideSnapshot, width: int) -> str:
    """Return the precision of a side's engine, or its title if both sides have the same precision.

    A title of more than `width` cells is cut before the precision, which is never cut.
    """
    precision = side.precision
    if precision and other.precision and precision != other.precision:
        return precision
    if cell_len(side.title) <= width or not precision:
        return one_line(side.title, width) if width >= MIN_TITLE_CELLS else ""
    backend = side.title.partition(f" {precision}")[0]
    room = width - cell_len(precision) - 1
    return f"{one_line(backend, room)} {precision}" if room >= MIN_BACKEND_CELLS else precision


def _legend(snapshot: Snapshot, width: int, only: int | None = None) -> list[Content]:
    """Return mark, letter, label and rate of both sides, or of `only` one; labels share the spare width.

    Where both do not fit, the last rate, the unit, which the title of the panel has, and the marks are left
    out, in this order.
    """
    others = {"L": snapshot.right, "R": snapshot.left}
    rows = list(zip(sides(snapshot), MARKS, strict=True))
    rows = rows if only is None else [rows[only]]
    full = [state_text(side, snapshot.now) for (*_, side), _ in rows]
    shorter = [state.partition(",")[0] for state in full]
    bare = [state.removesuffix(" tok/s") for state in shorter]
    least = sum(cell_len(side.precision) for (*_, side), _ in rows)
    for states, mark_cells in ((full, 3), (shorter, 3), (bare, 3), (bare, 0)):
        fixed = sum(len(state) + mark_cells + len("L  ") for state in states) + 2 * (len(rows) - 1)
        room = max(0, width - fixed)
        if room >= least:
            break
    last = sum(cell_len(label(side, others[letter], room)) for (letter, _, side), _ in rows[1:])
    limit = max(room // len(rows), room - last)
    pieces = []
    for ((letter, style, side), mark), state in zip(rows, states, strict=True):
        title = label(side, others[letter], limit)
        limit = room - cell_len(title)
        head = (f"{mark} {letter} " if mark_cells else f"{letter} ", f"bold {style}")
        pieces.append(Content.assemble(head, (f"{title} " if title else "", style), (state, "bold")))
    return pieces


def _spark(
    row: tuple[str, str, SideSnapshot], other: SideSnapshot, now: float, top: float, width: int
) -> Content:
    letter, style, side = row
    state = state_text(side, now)
    room = width - len(letter) - len(state) - 2
    title = label(side, other, min(room // 3, 24)) if room >= 12 else ""
    cells = room - (len(title) + 1 if title else 0)
    drawn = sparkline(decoding(side.rates), now, top, cells) if cells > 3 else ""
    return Content.assemble(
        (f"{letter} ", f"bold {style}"),
        (f"{title} " if title else "", style),
        (drawn, style),
        (f" {state}", ""),
    )

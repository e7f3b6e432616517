"""The plot of the throughput panel. Imported after the first frame: with numpy that takes about 70 ms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual_plot import HiResMode

from app.state.side.rate_series import WINDOW_SECONDS
from app.widgets.panels.rate_lines import Axes
from app.widgets.panels.styled_plot import StyledPlot

TIMES = (-60.0, -45.0, -30.0, -15.0, 0.0)
NARROW = 42
"""Below this width every second tick has a label."""
MODES = (HiResMode.BRAILLE, HiResMode.QUADRANT)
"""Braille dots for the left side, quarter blocks for the right: distinguishable without colours."""

Run = Sequence[tuple[float, float]]
"""At least two pairs of (token, or seconds from now; rate)."""


class TimeLabels:
    """Labels of the time axis."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `-45s` and `now`."""
        return ["now" if tick == 0 else f"{tick:.0f}s" for tick in ticks]


class TokenLabels:
    """Labels of the token axis."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `0`, `64` and `token 128`."""
        return [*(f"{tick:.0f}" for tick in ticks[:-1]), *(f"token {tick:.0f}" for tick in ticks[-1:])]


class RateLabels:
    """Labels of the rate axis, of at most five characters."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `0`, `250`, `20k` and `1M`."""
        return [_short(tick) for tick in ticks]


class RatePlot(StyledPlot):
    """Line plot of both sides' rates, by token of the answer or over the last minute."""

    def __init__(self) -> None:
        """Create an empty plot."""
        super().__init__()
        self.shown: tuple[object, ...] | None = None
        """What `draw` has drawn: the lines, the axes and the width; None before."""
        self.set_y_formatter(RateLabels())

    def draw(self, lines: Iterable[tuple[str, Sequence[Run]]], axes: Axes, width: int) -> None:
        """Draw the lines of both sides.

        Args:
            lines: (colour, runs) of the left and the right side.
            width: Of the panel's content, in cells.
        """
        wanted = tuple(lines), axes, width
        if wanted == self.shown:
            return
        self.shown = wanted
        self.clear()
        self._set_x_axis(axes, width)
        self.set_ylimits(0.0, axes.top)
        self.set_yticks((0.0, axes.top / 2, axes.top))
        for (colour, runs), mode in zip(wanted[0], MODES, strict=True):
            for run in runs:
                places, rates = zip(*run, strict=True)
                self.plot(places, rates, line_style=colour, hires_mode=mode)
        self.render()  # draw on the canvases now, which saves one update of the screen

    def _set_x_axis(self, axes: Axes, width: int) -> None:
        if axes.tokens is None:
            self.set_x_formatter(TimeLabels())
            self.set_xlimits(-WINDOW_SECONDS, 0.0)
            self.set_xticks(TIMES if width >= NARROW else TIMES[::2])
        else:
            self.set_x_formatter(TokenLabels())
            self.set_xlimits(0.0, float(axes.tokens))
            self.set_xticks((0.0, float(axes.tokens // 2), float(axes.tokens)))


def _short(rate: float) -> str:
    for divisor, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if rate >= divisor:
            return f"{rate / (1e3 if suffix == 'k' else divisor):g}{suffix}"
    return f"{rate:g}"

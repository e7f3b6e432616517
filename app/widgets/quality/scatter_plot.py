"""KL divergence against size as a plot. Imported after the first frame: with numpy that takes about 70 ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from textual_plot import HiResMode

from app.terminal_text import displayable
from app.widgets.panels.drawing import nice_ceiling
from app.widgets.panels.styled_plot import StyledCanvas, StyledPlot
from app.widgets.quality.label_places import Label, label_places
from engines.compare.report.scatter import SMALLEST, Point

MOST_TICKS = 6
MARK, CHOSEN_MARK = "●", "◉"
FLOOR_WORDS = "noise floor"


@dataclass(frozen=True)
class Colours:
    """Of the parts of the plot."""

    front: str
    point: str
    chosen: str
    floor: str


class PowerLabels:
    """Labels of the KLD axis, whose values are logarithms to the base 10."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `0.01` and `1e-05`."""
        return [f"{10.0**tick:g}" for tick in ticks]


class SizeLabels:
    """Labels of the size axis."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as `0.5`, `50` and `1,500`."""
        return [f"{tick:g}" if tick < 1000 else f"{tick:,.0f}" for tick in ticks]


class ScatterPlot(StyledPlot):
    """A point for each engine, the Pareto front, and the noise floor."""

    label_cells = 8

    def __init__(self) -> None:
        """Create an empty plot."""
        super().__init__()
        self._labels_wanted: list[tuple[float, float, str, str]] = []
        self.set_x_formatter(SizeLabels())
        self.set_y_formatter(PowerLabels())

    def draw(self, points: Sequence[Point], noise_floor: float | None, chosen: str, colours: Colours) -> None:
        """Draw the engines.

        Args:
            points: at least one.
            noise_floor: in nats; None if unknown.
            chosen: title of the engine to point out.
        """
        self.clear()
        noise = None if noise_floor is None else log10(max(SMALLEST, noise_floor))
        heights = [log10(point.kld) for point in points]
        low = floor(min([*heights, *([] if noise is None else [noise])]))
        high = max(low + 1, ceil(max(heights)))
        widest = 1.15 * max(point.size for point in points)
        self.set_xlimits(0.0, widest)
        self.set_ylimits(float(low), float(high))
        step = nice_ceiling(widest / MOST_TICKS)
        self.set_xticks([step * place for place in range(floor(widest / step) + 1)])
        self.set_yticks([float(power) for power in range(low, high + 1)])
        if noise is not None:
            self.plot([0.0, widest], [noise, noise], line_style=colours.floor, hires_mode=HiResMode.BRAILLE)
        front = [(point.size, height) for point, height in zip(points, heights, strict=True) if point.is_best]
        if len(front) > 1:
            sizes, klds = zip(*front, strict=True)
            self.plot(sizes, klds, line_style=colours.front, hires_mode=HiResMode.BRAILLE)
        self._labels_wanted = []
        for point, height in sorted(
            zip(points, heights, strict=True), key=lambda pair: (pair[0].title == chosen, pair[0].is_best)
        ):
            is_chosen = point.title == chosen
            colour = colours.chosen if is_chosen else colours.front if point.is_best else colours.point
            self.scatter([point.size], [height], CHOSEN_MARK if is_chosen else MARK, colour)
            self._labels_wanted.insert(0, (point.size, height, displayable(point.title), colour))
        if noise is not None:
            self._labels_wanted.append((widest, noise, FLOOR_WORDS, colours.floor))
        self.render()  # draw on the canvases now, which saves one update of the screen

    def _render_plot(self) -> None:
        super()._render_plot()
        self._write_labels()

    def _write_labels(self) -> None:
        """Write the names character by character: the canvas's own text would read markup in them."""
        for canvas in self.query("#plot").results(StyledCanvas):
            width, height = canvas.size
            styles = {text: colour for _, _, text, colour in self._labels_wanted}
            points = [self._label(x, y, text) for x, y, text, _ in self._labels_wanted]
            for label in label_places(points, width, height):
                for place, character in enumerate(label.text):
                    canvas.set_pixel(label.x + place, label.y, character, styles[label.text])

    def _label(self, size: float, height: float, text: str) -> Label:
        x, y = self.get_pixel_from_coordinate(size, height)
        return Label(int(x), int(y), text)

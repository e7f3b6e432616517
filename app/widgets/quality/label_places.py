"""Where the names of points are written in a plot, so that none covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A name and the cell of its point, or of its first character."""

    x: int
    y: int
    text: str


def label_places(points: Sequence[Label], width: int, height: int) -> list[Label]:
    """Return the names with the cells where they begin; one that fits nowhere is left out.

    Args:
        points: in order of importance, with the cells of the points.
        width: of the plot in cells, its frame included.
        height: as `width`.
    """
    taken = {(point.x, point.y) for point in points}
    found = []
    for point in points:
        for x, y in _candidates(point):
            cells = {(column, y) for column in range(x - 1, x + len(point.text) + 1)} - {(point.x, point.y)}
            inside = x > 1 and x + len(point.text) < width - 1 and 0 < y < height - 1
            if inside and not cells & taken:
                taken |= cells
                found.append(Label(x, y, point.text))
                break
    return found


def _candidates(point: Label) -> Iterator[tuple[int, int]]:
    """Yield places next to the point, then above and below it."""
    left, right = point.x - 1 - len(point.text), point.x + 2
    yield right, point.y
    yield left, point.y
    for y in (point.y - 1, point.y + 1):
        yield right, y
        yield left, y
        yield point.x - len(point.text) // 2, y

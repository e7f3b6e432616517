"""The scatter plot of a comparison: KL divergence (log) against the size of the weights, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from engines.compare.comparison import Comparison, Row

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 20, 50
NAME_WIDTH, LINE = 130, 14
"""Space that the name of an engine takes, about."""
SMALLEST = 1e-6
"""KLDs below are drawn here: a logarithm has no 0."""


@dataclass(frozen=True)
class Point:
    """An engine in the plot."""

    title: str
    size: float
    """MB, 10^6 bytes."""
    kld: float
    is_best: bool
    """On the Pareto front: no engine is both smaller and closer to the reference."""


def points(comparison: Comparison) -> list[Point]:
    """Return the engines that have a quality, by size."""
    rows = sorted((row for row in comparison.rows if row.quality), key=lambda row: row.weight_bytes)
    return [Point(row.title, row.weight_bytes / 1e6, _kld(row), _is_best(row, rows)) for row in rows]


def _kld(row: Row) -> float:
    assert row.quality
    return max(SMALLEST, row.quality.mean_kld)


def _is_best(row: Row, rows: Sequence[Row]) -> bool:
    return not any(
        other.weight_bytes <= row.weight_bytes
        and _kld(other) <= _kld(row)
        and (other.weight_bytes, _kld(other)) != (row.weight_bytes, _kld(row))
        for other in rows
    )


def label_heights(points: Sequence[tuple[float, float]]) -> list[float]:
    """Return the y of each point's name: its own, or above the names that would be covered."""
    placed = list[tuple[float, float]]()
    for x, y in points:
        while covered := [h for other, h in placed if abs(x - other) < NAME_WIDTH and abs(y - h) < LINE]:
            y = min(covered) - LINE
        placed.append((x, y))
    return [y for _, y in placed]


def scatter(comparison: Comparison) -> str:
    """Return the plot; empty without an engine that has a quality."""
    found = points(comparison)
    if not found:
        return ""
    noise = comparison.noise_floor and max(SMALLEST, comparison.noise_floor)
    low = floor(log10(min(noise or 1.0, *(point.kld for point in found))))
    high = max(low + 1, ceil(log10(max(point.kld for point in found))))
    largest = 1.1 * max(point.size for point in found)

    def x(size: float) -> float:
        return LEFT + size / largest * (WIDTH - LEFT - RIGHT)

    def y(kld: float) -> float:
        return TOP + (high - log10(kld)) / (high - low) * (HEIGHT - TOP - BOTTOM)

    grid = []
    for power in range(low, high + 1):
        height = y(10**power)
        grid += [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>',
            f'<text class="tick" x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{10.0**power:g}'
            "</text>",
        ]
    sizes = [
        f'<text class="tick" x="{x(share * largest):.1f}" y="{HEIGHT - BOTTOM + 18}" '
        f'text-anchor="middle">{share * largest:,.3g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    best = [point for point in found if point.is_best]
    front = " ".join(f"{x(point.size):.1f},{y(point.kld):.1f}" for point in best)
    heights = label_heights([(x(point.size), y(point.kld)) for point in found])
    marks = [
        f'<g class="point{" best" if point.is_best else ""}"><circle cx="{x(point.size):.1f}" '
        f'cy="{y(point.kld):.1f}" r="5"/><text x="{x(point.size) + 9:.1f}" y="{height + 4:.1f}">'
        f"{escape(point.title)}</text></g>"
        for point, height in zip(found, heights, strict=True)
    ]
    line = []
    if noise:
        height = y(noise)
        line = [
            f'<line class="floor" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>',
            f'<text class="tick" x="{LEFT + 6}" y="{height - 6:.1f}">noise floor</text>',
        ]
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="KL divergence against size">',
            *grid,
            *sizes,
            *line,
            f'<polyline class="front" points="{front}"/>',
            *marks,
            f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">weights, MB</text>',
            f'<text class="axis" transform="translate(16 {TOP + (HEIGHT - TOP - BOTTOM) / 2}) rotate(-90)" '
            'text-anchor="middle">mean KLD, nats (log)</text>',
            "</svg>",
        ]
    )

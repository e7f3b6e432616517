"""Turn samples of a rate into the lines of a plot: averaged per dot, with gaps between answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from app.state.side.rate_series import WINDOW_SECONDS
from app.widgets.panels.drawing import Samples

GAP_SECONDS = 1.5
"""A line is interrupted after this time without samples, as between two answers."""


@dataclass(frozen=True)
class Axes:
    """The ends of the plot's axes."""

    top: float
    """Upper end of the rate axis, in tok/s."""
    tokens: int | None
    """Upper end of the token axis; None for a time axis of the last minute."""


def decoding(rates: Samples) -> list[tuple[float, float]]:
    """Return the samples with a positive, finite rate; an idle side measures 0."""
    return [(moment, rate) for moment, rate in rates if isfinite(rate) and rate > 0]


def thinned(rates: Samples, step: float, end: float) -> list[tuple[float, float]]:
    """Return (start, mean rate) of each complete `step` in the window before `end`: one value per dot."""
    bins: dict[float, list[float]] = {}
    for moment, rate in decoding(rates):
        if end - WINDOW_SECONDS + step <= moment < end:
            bins.setdefault(moment // step * step, []).append(rate)
    return [(moment, sum(found) / len(found)) for moment, found in bins.items()]


def unbroken(rates: Samples, now: float) -> list[list[tuple[float, float]]]:
    """Return runs of (seconds from now, rate) without gaps; a single sample becomes a line of 0.25 s."""
    runs: list[list[tuple[float, float]]] = []
    for moment, rate in decoding(rates):
        ago = moment - now
        if not -WINDOW_SECONDS <= ago <= 0:
            continue
        if not runs or ago - runs[-1][-1][0] > GAP_SECONDS:
            runs.append([])
        runs[-1].append((ago, rate))
    return [run if len(run) > 1 else [(run[0][0] - 0.25, run[0][1]), *run] for run in runs]

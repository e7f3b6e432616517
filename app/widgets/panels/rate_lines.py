"""The samples of a rate as lines of a plot: what was measured, as fine as dots, broken in rests."""

from __future__ import annotations

from math import isfinite

from app.state.side.rate_series import WINDOW_SECONDS
from app.widgets.panels.drawing import Samples

GAP_SECONDS = 1.5
"""A line is broken where nothing was measured for so long: between two answers nothing was generated."""


def decoding(rates: Samples) -> list[tuple[float, float]]:
    """The samples in which tokens came: a side that rests measures 0, which is no speed."""
    return [(moment, rate) for moment, rate in rates if isfinite(rate) and rate > 0]


def thinned(rates: Samples, step: float, end: float) -> list[tuple[float, float]]:
    """The mean of each whole `step` in the window up to `end`, at its begin: a plot has no dots for more."""
    bins: dict[float, list[float]] = {}
    for moment, rate in decoding(rates):
        if end - WINDOW_SECONDS + step <= moment < end:
            bins.setdefault(moment // step * step, []).append(rate)
    return [(moment, sum(found) / len(found)) for moment, found in bins.items()]


def unbroken(rates: Samples, now: float) -> list[list[tuple[float, float]]]:
    """The samples as (seconds before now, rate), in runs without gaps; lone samples become short lines."""
    runs: list[list[tuple[float, float]]] = []
    for moment, rate in decoding(rates):
        ago = moment - now
        if not -WINDOW_SECONDS <= ago <= 0:
            continue
        if not runs or ago - runs[-1][-1][0] > GAP_SECONDS:
            runs.append([])
        runs[-1].append((ago, rate))
    return [run if len(run) > 1 else [(run[0][0] - 0.25, run[0][1]), *run] for run in runs]

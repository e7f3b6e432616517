"""Rounds that other programs did not disturb.

On few cores a busy neighbour changes ratios, not only speeds: PyTorch's threads wait for each other and lose
far more than OpenVINO's. So a disturbed round is measured again, and what is kept says how quiet it was.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

import psutil

from tests.benchmarks.workshop import Numbers

QUIET_CORES = 0.1
"""A round is quiet while all other programs together take less than this share of one core."""
Figures = TypeVar("Figures")


class QuietRounds(Generic[Figures]):
    """Collects rounds until enough of them were quiet. The first is a warm-up and thrown away."""

    def __init__(self, numbers: Numbers, wanted: int = 0) -> None:
        """Wait for `wanted` quiet rounds, or for as many as `numbers` say."""
        self._wanted = wanted or numbers.rounds
        self._most = numbers.tries * self._wanted
        self._rounds: list[tuple[float, Figures]] = []
        self._warm = False
        self._began = (0.0, 0.0, 0.0)

    def __iter__(self) -> Iterator[int]:
        """Count the rounds, warm-up included; each is to end with `keep`."""
        number = 0
        while not self._enough:
            self._began = _clocks()
            yield number
            number += 1

    def keep(self, figures: Figures) -> None:
        """The round is over."""
        wall, busy, own = (now - then for now, then in zip(_clocks(), self._began, strict=True))
        if self._warm:
            self._rounds.append((max(0.0, busy - own) / wall, figures))
        self._warm = True

    @property
    def _enough(self) -> bool:
        quiet = sum(others < QUIET_CORES for others, _ in self._rounds)
        return quiet >= self._wanted or len(self._rounds) >= self._most

    @property
    def best(self) -> list[Figures]:
        """The quietest rounds, in the order in which they were measured."""
        quietest = sorted(range(len(self._rounds)), key=lambda i: self._rounds[i][0])[: self._wanted]
        return [self._rounds[i][1] for i in sorted(quietest)]

    def summary(self) -> str:
        """`others 0.02 cores at most in 7 of 9 rounds`."""
        shares = sorted(others for others, _ in self._rounds)[: self._wanted]
        return f"{len(shares)} of {len(self._rounds)} rounds kept, others took {shares[-1]:.2f} cores at most"


def _clocks() -> tuple[float, float, float]:
    """Seconds: of the wall clock, that all cores were busy, and that we and our descendants were."""
    times = psutil.cpu_times()
    busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
    return time.monotonic(), busy, _own()


def _own() -> float:
    """Processes that have ended are in their parents' account."""
    ourselves = psutil.Process()
    seconds = 0.0
    for process in [ourselves, *ourselves.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            seconds += sum(process.cpu_times()[:4])
    return seconds

"""Keep the rounds that other processes disturbed least.

On few cores other processes change ratios, not only speeds: PyTorch's threads wait for each other and lose
far more than OpenVINO's. A disturbed round is measured again, and the summary reports how quiet the kept
rounds were.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Generic, TypeVar

import psutil

from engines.measure.other_programs import busy_seconds, cpu_seconds
from tests.benchmarks.environment import BenchmarkSizes

QUIET_CORES = 0.1
"""A round is quiet if all other processes together take less than this share of one core."""
Figures = TypeVar("Figures")


class QuietRounds(Generic[Figures]):
    """Collects rounds until enough of them are quiet. The first is a warm-up and is discarded."""

    def __init__(self, sizes: BenchmarkSizes, wanted: int = 0) -> None:
        """Collect `wanted` quiet rounds; 0 for `sizes.rounds`."""
        self._wanted = wanted or sizes.rounds
        self._most = sizes.tries * self._wanted
        self._rounds: list[tuple[float, Figures]] = []
        self._warm = False
        self._began = (0.0, 0.0, 0.0)

    def __iter__(self) -> Iterator[int]:
        """Yield the number of each round, including the warm-up; call `keep` at the end of each."""
        number = 0
        while not self._enough:
            self._began = _clocks()
            yield number
            number += 1

    def keep(self, figures: Figures) -> None:
        """End the round and keep its figures."""
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
        """The quietest rounds in the order of measurement."""
        quietest = sorted(range(len(self._rounds)), key=lambda i: self._rounds[i][0])[: self._wanted]
        return [self._rounds[i][1] for i in sorted(quietest)]

    def summary(self) -> str:
        """Return a text such as `7 of 9 rounds kept, others took 0.02 cores at most`."""
        shares = sorted(others for others, _ in self._rounds)[: self._wanted]
        return f"{len(shares)} of {len(self._rounds)} rounds kept, others took {shares[-1]:.2f} cores at most"


def _clocks() -> tuple[float, float, float]:
    """Return seconds of the wall clock, busy seconds of all cores, and CPU seconds of this process tree."""
    this = psutil.Process()
    return time.monotonic(), busy_seconds(), cpu_seconds([this, *this.children(recursive=True)])

"""The decode rate along one answer, by token."""

from __future__ import annotations

from collections.abc import Iterable

POINTS = 128
"""The curve has at most twice as many points; a plot has about as many columns of dots."""

Curve = tuple[tuple[int, float], ...]
"""(number of tokens so far, tok/s of the last of them), in order."""


class RateCurve:
    """Divides an answer of any length into parts of equally many tokens, and keeps the rate of each."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start another answer."""
        self._ends: list[tuple[int, int]] = []
        """(tokens so far, time in nanoseconds) at the first token and at the end of each part."""
        self._width = 1
        """Tokens of a part."""
        self._tokens = 0
        self._read: Curve = ()

    def add(self, times_ns: Iterable[int]) -> None:
        """Add tokens by their monotonic times, oldest first. Tokens of one time belong to one part."""
        for now in times_ns:
            self._tokens += 1
            if not self._ends:
                self._ends.append((self._tokens, now))
            elif now == self._ends[-1][1]:
                self._ends[-1] = self._tokens, now
            elif self._tokens - self._ends[-1][0] >= self._width:
                self._ends.append((self._tokens, now))
                if len(self._ends) > 2 * POINTS:
                    self._ends = self._ends[::2]
                    self._width *= 2
        self._read = ()

    @property
    def points(self) -> Curve:
        """The curve; the same object until a token is added."""
        if not self._read and len(self._ends) > 1:
            parts = zip(self._ends, self._ends[1:], strict=False)
            self._read = tuple((b, (b - a) / (end - start) * 1e9) for (a, start), (b, end) in parts)
        return self._read

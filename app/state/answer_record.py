"""How an answer went: when its phases began, and the gaps between its tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from app.state.series import Phase, Span

GAPS = 512
"""How many gaps are kept, the newest: enough for a 95th percentile, few enough to sort at each drawing."""


class AnswerRecord:
    """The answer under way on a side, or else the last one."""

    def __init__(self) -> None:
        self._phases: list[tuple[Phase, float]] = []
        self._ended: float | None = None
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._token_ns: int | None = None

    def enter(self, phase: Phase, answers: bool) -> None:
        """The side enters a phase.

        Args:
            phase: which.
            answers: whether it belongs to an answer.
        """
        now = time.monotonic()
        if answers:
            if self._ended is not None or not self._phases:
                self._begin()
            self._phases.append((phase, now))
        elif self._phases and self._ended is None and self._phases[-1][0] is not Phase.QUEUED:
            self._ended = now  # a side that has waited is ready for a moment before it answers

    def tokens(self, times_ns: Sequence[int]) -> None:
        """Tokens came at these monotonic times."""
        for now in times_ns:
            if self._token_ns is not None:
                self._gaps.append((now - self._token_ns) / 1e9)
            self._token_ns = now

    def spans(self) -> tuple[Span, ...]:
        """Its phases, the one under way up to now."""
        ends = [began for _, began in self._phases[1:]]
        ends.append(time.monotonic() if self._ended is None else self._ended)
        return tuple(
            Span(phase, began, end - began) for (phase, began), end in zip(self._phases, ends, strict=False)
        )

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between its tokens, the newest GAPS."""
        return tuple(self._gaps)

    def _begin(self) -> None:
        self._phases.clear()
        self._gaps.clear()
        self._ended = self._token_ns = None

"""The course of an answer: when its phases began, where it stalled, and the gaps between its tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from statistics import median

from app.state.side.answer_cost import AnswerCost
from app.state.side.phase import Phase, Span
from app.state.side.rate_curve import RateCurve

GAPS = 512
"""The newest gaps that are kept: enough for a 95th percentile, few enough to sort at each drawing."""
STALL_SECONDS, STALL_GAPS = 2.0, 5.0
"""A side that decodes counts as stalled when it has sent no token for STALL_SECONDS, and for STALL_GAPS times
its median gap: a slow engine does not stall at every token."""


class AnswerRecord:
    """The answer in progress on a side, or else the last one."""

    def __init__(self) -> None:
        self.curve = RateCurve()
        self.cost: AnswerCost | None = None
        """Of the device; set once the answer has ended."""
        self._phases: list[tuple[Phase, float]] = []
        self._ended: float | None = None
        self._loading: float | None = None
        """When the load in progress began."""
        self._load: Span | None = None
        """The last load, until an answer follows it."""
        self._after: Span | None = None
        """The load, if this is the first answer after it."""
        self._long_gaps: list[Span] = []
        """Gaps of more than STALL_SECONDS. Which of them are stalls depends on the pace of all tokens."""
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._gaps_read: tuple[float, ...] | None = ()
        self._token_ns: int | None = None
        """When the newest token arrived."""

    def enter(self, phase: Phase, answers: bool) -> None:
        """Record that the side entered a phase.

        Args:
            answers: whether the phase belongs to an answer.
        """
        now = time.monotonic()
        self._enter_load(phase, now)
        if answers:
            if self._ended is not None or not self._phases:
                self._begin()
            self._phases.append((phase, now))
        elif self._phases and self._ended is None and self._phases[-1][0] is not Phase.QUEUED:
            # A queued side is ready for a moment before it answers. An answer ends with its last token, not
            # with the message about it, which arrives later when the screen is busy.
            decoded = self._phases[-1][0] is Phase.DECODE and self._silent_for(now) <= self.stall_seconds
            self._ended = self._token_ns / 1e9 if decoded and self._token_ns else now

    def tokens(self, times_ns: Sequence[int]) -> None:
        """Record tokens by their monotonic times."""
        self.pieces(times_ns)
        self.curve.add(times_ns)

    def pieces(self, times_ns: Sequence[int]) -> None:
        """Record pieces of text by their monotonic times: their tokens are not known, so there is no rate."""
        if self._token_ns is None and times_ns and self._phases:
            self._decode_began(times_ns[0] / 1e9)
        for now in times_ns:
            if self._token_ns is not None:
                gap = (now - self._token_ns) / 1e9
                self._gaps.append(gap)
                if gap > STALL_SECONDS:
                    self._long_gaps.append(Span(Phase.STALLED, self._token_ns / 1e9, gap))
            self._token_ns = now
        self._gaps_read = None

    def spans(self) -> tuple[Span, ...]:
        """Return the load, if this is the first answer after it, then the phases so far."""
        now = time.monotonic() if self._ended is None else self._ended
        ends = [began for _, began in self._phases[1:]] + [now]
        spans = [self._after] if self._after else []
        for (phase, began), end in zip(self._phases, ends, strict=False):
            if phase is Phase.DECODE:
                spans += _divided(began, end, self._stalls_until(end))
            else:
                spans.append(Span(phase, began, end - began))
        return tuple(spans)

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between tokens, the newest GAPS; the same tuple object until another token arrives."""
        if self._gaps_read is None:
            self._gaps_read = tuple(self._gaps)
        return self._gaps_read

    @property
    def stall_seconds(self) -> float:
        """How long a side may decode without a token before it counts as stalled, at this answer's pace."""
        if not self._gaps or max(self._gaps) <= STALL_SECONDS / STALL_GAPS:
            return STALL_SECONDS
        return max(STALL_SECONDS, STALL_GAPS * median(self._gaps))

    def _decode_began(self, moment: float) -> None:
        """Let decode begin with its first token, not with the message that reported it."""
        phase, came = self._phases[-1]
        if phase is Phase.DECODE and len(self._phases) > 1:
            self._phases[-1] = phase, max(self._phases[-2][1], min(came, moment))

    def _silent_for(self, now: float) -> float:
        return 0.0 if self._token_ns is None else now - self._token_ns / 1e9

    def _stalls_until(self, end: float) -> list[Span]:
        """Return the stalls of the decode phase, including one in progress."""
        silent, shortest = self._silent_for(end), self.stall_seconds
        stalls = [gap for gap in self._long_gaps if gap.seconds > shortest]
        return [*stalls, Span(Phase.STALLED, end - silent, silent)] if silent > shortest else stalls

    def _enter_load(self, phase: Phase, now: float) -> None:
        if phase is Phase.READY and self._loading is not None:
            self._load = Span(Phase.LOADING, self._loading, now - self._loading)
        self._loading = now if phase is Phase.LOADING else None

    def _begin(self) -> None:
        self._phases.clear()
        self._gaps.clear()
        self._long_gaps.clear()
        self.curve.clear()
        self._after, self._load = self._load, None
        self._ended = self._token_ns = self.cost = None
        self._gaps_read = ()


def _divided(began: float, end: float, stalls: Sequence[Span]) -> list[Span]:
    """Return a decode phase divided by its stalls."""
    spans = []
    for stall in stalls:
        if stall.began > began:
            spans.append(Span(Phase.DECODE, began, stall.began - began))
        spans.append(stall)
        began = stall.began + stall.seconds
    if end > began or not stalls:
        spans.append(Span(Phase.DECODE, began, end - began))
    return spans

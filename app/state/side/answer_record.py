"""How an answer went: when its phases began, where it stalled, and the gaps between its tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from app.state.side.answer_cost import AnswerCost
from app.state.side.phase import Phase, Span

GAPS = 512
"""How many gaps are kept, the newest: enough for a 95th percentile, few enough to sort at each drawing."""
STALL_SECONDS = 2.0
"""Without a token for so long, a side that decodes is called stalled."""


class AnswerRecord:
    """The answer under way on a side, or else the last one."""

    def __init__(self) -> None:
        self.cost: AnswerCost | None = None
        """What it took of its device, once it has ended."""
        self._phases: list[tuple[Phase, float]] = []
        self._ended: float | None = None
        self._loading: float | None = None
        """When a load began that goes on."""
        self._load: Span | None = None
        """A load that no answer has followed yet."""
        self._after: Span | None = None
        """The load that this answer is the first after."""
        self._stalls: list[Span] = []
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._gaps_read: tuple[float, ...] | None = ()
        self._token_ns: int | None = None
        """When the newest came."""

    def enter(self, phase: Phase, answers: bool) -> None:
        """The side enters a phase.

        Args:
            phase: which.
            answers: whether it belongs to an answer.
        """
        now = time.monotonic()
        self._enter_load(phase, now)
        if answers:
            if self._ended is not None or not self._phases:
                self._begin()
            self._phases.append((phase, now))
        elif self._phases and self._ended is None and self._phases[-1][0] is not Phase.QUEUED:
            # A side that has waited is ready for a moment before it answers. The end is the last token: its
            # message came later, the later the more the screen had to do.
            decoded = self._phases[-1][0] is Phase.DECODE and self._silent_for(now) <= STALL_SECONDS
            self._ended = self._token_ns / 1e9 if decoded and self._token_ns else now

    def tokens(self, times_ns: Sequence[int]) -> None:
        """Tokens came at these monotonic times."""
        if self._token_ns is None and times_ns and self._phases:
            self._decode_began(times_ns[0] / 1e9)
        for now in times_ns:
            if self._token_ns is not None:
                gap = (now - self._token_ns) / 1e9
                self._gaps.append(gap)
                if gap > STALL_SECONDS:
                    self._stalls.append(Span(Phase.STALLED, self._token_ns / 1e9, gap))
            self._token_ns = now
        self._gaps_read = None

    def spans(self) -> tuple[Span, ...]:
        """The load before it where it was the first, then its phases, the one under way up to now."""
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
        """Seconds between its tokens, the newest GAPS; the very same tuple until another token comes."""
        if self._gaps_read is None:
            self._gaps_read = tuple(self._gaps)
        return self._gaps_read

    def _decode_began(self, moment: float) -> None:
        """With its first token, not with the message that brought it here."""
        phase, came = self._phases[-1]
        if phase is Phase.DECODE and len(self._phases) > 1:
            self._phases[-1] = phase, max(self._phases[-2][1], min(came, moment))

    def _silent_for(self, now: float) -> float:
        return 0.0 if self._token_ns is None else now - self._token_ns / 1e9

    def _stalls_until(self, end: float) -> list[Span]:
        """The stalls of the decode phase, one that goes on included."""
        silent = self._silent_for(end)
        if silent > STALL_SECONDS:
            return [*self._stalls, Span(Phase.STALLED, end - silent, silent)]
        return self._stalls

    def _enter_load(self, phase: Phase, now: float) -> None:
        if phase is Phase.READY and self._loading is not None:
            self._load = Span(Phase.LOADING, self._loading, now - self._loading)
        self._loading = now if phase is Phase.LOADING else None

    def _begin(self) -> None:
        self._phases.clear()
        self._gaps.clear()
        self._stalls.clear()
        self._after, self._load = self._load, None
        self._ended = self._token_ns = self.cost = None
        self._gaps_read = ()


def _divided(began: float, end: float, stalls: Sequence[Span]) -> list[Span]:
    """A phase of decode with what stalled in it taken out."""
    spans = []
    for stall in stalls:
        if stall.began > began:
            spans.append(Span(Phase.DECODE, began, stall.began - began))
        spans.append(stall)
        began = stall.began + stall.seconds
    if end > began or not stalls:
        spans.append(Span(Phase.DECODE, began, end - began))
    return spans

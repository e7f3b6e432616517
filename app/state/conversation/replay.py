"""The course of a saved conversation: which part of each answer was there at which time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from app.state.conversation.alignment import pairs
from app.state.conversation.record import Record
from app.state.conversation.token_stamps import spread
from app.state.conversation.turn import Turn
from engines.measure.timing import NANOSECONDS, RateWindow

MICROSECONDS = 1e6
PAUSE_SECONDS, SHORTEST_PAUSE = 4.0, 1.0
"""The next prompt follows the answers as it did, but after these times at most and at least."""
RATE_TOKENS = 512
"""The newest tokens from which the rate at a moment is computed."""
IN_TURN = "in turn"
"""As in a turn's `mode`."""


class Progress(StrEnum):
    """How far an answer is."""

    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"
    ENDED = "ended"


@dataclass(frozen=True)
class Moment:
    """An answer at one time."""

    progress: Progress
    tokens: int
    characters: int
    """Of thought and answer, that had arrived."""
    since: float
    """Seconds since the request, or since the prompt while it is queued."""
    rate: float = 0.0
    """Decode tok/s then; 0 before the second token."""


class RecordedAnswer:
    """One answer and when its tokens arrived. Times are seconds since the prompt was sent."""

    def __init__(self, turn: Turn, waited: float = 0.0) -> None:
        """Create it.

        Args:
            waited: seconds from the prompt to the request, for a turn without saved time stamps.
        """
        self.turn = turn
        self.is_exact = turn.stamps is not None
        """Whether the time stamps were saved; otherwise its tokens arrive at their mean rate."""
        stamps = turn.stamps
        self.began = max(0, stamps.waited) / MICROSECONDS if stamps else waited
        self._arrivals = self._saved_arrivals() if stamps else []
        self._arrivals += self._mean_arrivals(len(self._arrivals))
        known = [max(0, length) for length in stamps.characters] if stamps else []
        missing = max(0, len(self._arrivals) - len(known))
        rest = max(0, turn.output_length - sum(known))
        self._lengths = list(accumulate([*known, *(spread(rest, missing) if missing else [])]))

    @property
    def ended(self) -> float:
        """When the last token had arrived."""
        return self._arrivals[-1] if self._arrivals else self.began

    def at(self, seconds: float) -> Moment:
        """Return how far the answer was."""
        if seconds < self.began:
            return Moment(Progress.QUEUED, 0, 0, seconds)
        if seconds >= self.ended:
            return Moment(
                Progress.ENDED, len(self._arrivals), self.turn.output_length, self.ended - self.began
            )
        tokens = bisect_right(self._arrivals, seconds)
        if tokens == 0:
            return Moment(Progress.PREFILL, 0, 0, seconds - self.began)
        length = min(self._lengths[tokens - 1], self.turn.output_length)
        return Moment(Progress.DECODE, tokens, length, seconds - self.began, self._rate(tokens, seconds))

    def _rate(self, tokens: int, seconds: float) -> float:
        """Return what the live rate was, by the same window as while an engine answers."""
        newest = [round(one * NANOSECONDS) for one in self._arrivals[max(0, tokens - RATE_TOKENS) : tokens]]
        window = RateWindow()
        window.add(newest, newest[-1])
        return window.rate(round(seconds * NANOSECONDS))

    def _saved_arrivals(self) -> list[float]:
        assert self.turn.stamps
        gaps = (max(0, gap) / MICROSECONDS for gap in self.turn.stamps.gaps)
        return [self.began + offset for offset in accumulate(gaps)]

    def _mean_arrivals(self, saved: int) -> list[float]:
        """Return the arrivals of the tokens that were not saved, evenly spaced."""
        timing = self.turn.timing
        most = max(len(self.turn.token_ids), self.turn.output_length)  # whatever a file claims
        missing = max(0, min(timing.tokens, most) - saved) if timing else 0
        if not missing or timing is None:
            return []
        first = self.began + (timing.ttft or 0.0)
        last = self.began + (timing.total or timing.ttft or 0.0)
        if not saved:
            step = (last - first) / max(1, missing - 1)
            return [first + step * number for number in range(missing)]
        begin = self._arrivals[-1]
        step = max(0.0, last - begin) / missing
        return [begin + step * number for number in range(1, missing + 1)]


@dataclass(frozen=True)
class RecordedTurn:
    """One prompt and the answers of the sides that were asked it."""

    left: RecordedAnswer | None
    right: RecordedAnswer | None
    pause: float
    """Seconds until the next prompt, after both answers have ended."""

    @property
    def answers(self) -> tuple[RecordedAnswer, ...]:
        """The answers that there are, left first."""
        return tuple(answer for answer in (self.left, self.right) if answer)

    @property
    def ended(self) -> float:
        """When both answers had ended."""
        return max(answer.ended for answer in self.answers)

    @property
    def is_exact(self) -> bool:
        """Whether the time stamps of every answer that has tokens were saved."""
        return all(one.is_exact or not (one.turn.timing and one.turn.timing.tokens) for one in self.answers)


def recorded_turns(record: Record) -> list[RecordedTurn]:
    """Return the turns that a saved conversation shows, in order."""
    left, right = record.sides.values()
    found = pairs(left.turns, right.turns)
    asked = [next((turn.asked_at for turn in both if turn and turn.asked_at), None) for both in found]
    turns = []
    for both, began, following in zip(found, asked, [*asked[1:], None], strict=True):
        answers = _answers(*both)
        ended = max(answer.ended for answer in answers if answer)
        pause = following - began - ended if following and began else PAUSE_SECONDS
        turns.append(RecordedTurn(*answers, min(max(pause, SHORTEST_PAUSE), PAUSE_SECONDS)))
    return turns


def _answers(left: Turn | None, right: Turn | None) -> tuple[RecordedAnswer | None, RecordedAnswer | None]:
    """Return the answers; where no time stamps were saved, *in turn* lets the right side answer second."""
    first = RecordedAnswer(left) if left else None
    waited = first.ended if first and right and right.mode == IN_TURN else 0.0
    return first, RecordedAnswer(right, waited) if right else None

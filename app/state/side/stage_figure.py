"""The one figure of a side that an audience sees: its decode rate, or why there is none."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.state.conversation.speed_ratio import doubt_of
from app.state.conversation.turn import Turn
from app.state.side.phase import OPENING, Phase
from app.state.side.side import Side
from app.units import clock_text, count_text, live_rate_text, rate_text, seconds_text
from engines.measure.other_programs import BUSY_PERCENT
from engines.measure.timing import Timing


@dataclass(frozen=True)
class StageFigure:
    """What is shown of one side."""

    number: str = ""
    """Decode tok/s; empty while there is none."""
    words: str = ""
    """What the number is, or why there is none."""
    doubt: str = ""
    """Why the number should not be quoted; empty if it may be."""


def stage_figure(side: Side) -> StageFigure:
    """Return the figure of the answer in progress, or else of the last one."""
    clock = clock_text(time.monotonic() - side.phase_since)
    match side.phase:
        case Phase.DECODE | Phase.STOPPING:
            return live_figure(side.rate(), side.stalled_seconds)
        case Phase.PREFILL:
            return StageFigure(words=f"prefill: {clock}")
        case Phase.QUEUED:
            return StageFigure(words="queued behind the other side")
        case Phase.EMPTY:
            return StageFigure(words="no engine: F2 chooses one")
        case Phase.FAILED:
            return StageFigure(words="failed: F9 restarts it")
        case phase if phase in OPENING:
            return StageFigure(words=f"{phase.value}: {clock}")
    turns = side.conversation.turns
    return final_figure(turns[-1]) if turns else StageFigure(words="ready")


def live_figure(rate: float, stalled_seconds: float = 0.0) -> StageFigure:
    """Return the figure of an answer while its tokens arrive; `rate` in tok/s."""
    if stalled_seconds:
        return StageFigure(words=f"no token for {clock_text(stalled_seconds)}")
    if not rate:
        return StageFigure(words="first token")
    return StageFigure(live_rate_text(rate).removesuffix(" tok/s"), "tok/s now")


def final_figure(turn: Turn) -> StageFigure:
    """Return the figure of an answer that has ended."""
    timing = turn.timing
    if turn.error:
        return StageFigure(words="failed")
    if timing is None or not timing.tokens:
        return StageFigure(words="cancelled" if turn.reason == "stopped" else "no answer")
    if timing.decode_rate is None:
        return StageFigure(words=f"no rate: {_without_rate(timing)}")
    words = f"tok/s · first token {seconds_text(timing.ttft)}"
    return StageFigure(rate_text(timing.decode_rate, "").strip(), words, _doubt(turn, timing.tokens))


def _doubt(turn: Turn, tokens: int) -> str:
    """Return why the rate of one answer should not be quoted, in few words: the headline has more."""
    if not doubt_of((turn, turn)):
        return ""
    if (busy := turn.busy_percent or 0.0) >= BUSY_PERCENT:
        return f"others used {busy:.0f} %: do not quote"
    return f"only {count_text(tokens)} tokens: do not quote"


def _without_rate(timing: Timing) -> str:
    if timing.tokens == 1:
        return "an answer of one token"
    if timing.ttft is None:
        return "its time stamps are not in order"
    return f"all {count_text(timing.tokens)} tokens came at once"

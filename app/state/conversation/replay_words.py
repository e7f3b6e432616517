"""What a replay says of itself: when and where it was recorded, and what was not saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from app.state.conversation.replay import RecordedTurn
from app.state.conversation.speed_ratio import SpeedRatio, speed_ratio
from app.state.conversation.turn import Turn

NOT_RUNNING = "not running now"
MEAN_RATE = "no time stamps: shown at the mean rate"
UNKNOWN_SIZE = "the size of the model was not recorded"


def recorded_words(turns: Iterable[Turn]) -> str:
    """Return `Recorded on 2025-11-26, not running now · AMD EPYC, 2 cores`; what is unknown is named."""
    turns = tuple(turns)
    asked_at = next((turn.asked_at for turn in turns if turn.asked_at), None)
    day = f"on {_day(asked_at)}" if asked_at and _day(asked_at) else "at an unknown time"
    machines = [turn.machine for turn in turns if turn.machine]
    machine = " and ".join(dict.fromkeys(machines)) or "machine not recorded"
    return f"Recorded {day}, {NOT_RUNNING} · {machine}"


def version_words(turns: Iterable[Turn]) -> str:
    """Return the libraries of the engines with their versions; empty if they were not recorded."""
    versions = {name: version for turn in turns for name, version in turn.versions.items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def recorded_ratio(turns: Sequence[RecordedTurn]) -> SpeedRatio | None:
    """Return how many times as fast the sides were over these turns; None if it cannot be said.

    If the number of parameters was not saved, the ratio is in doubt: of a small model it says little.
    """
    lefts = [turn.left.turn for turn in turns if turn.left]
    rights = [turn.right.turn for turn in turns if turn.right]
    last = [turn.parameters for one in (lefts, rights) for turn in one[-1:]]
    known = [parameters for parameters in last if parameters is not None]
    ratio = speed_ratio(lefts, rights, min(known, default=None))
    if ratio and not ratio.doubt and not known:
        return replace(ratio, doubt=UNKNOWN_SIZE)
    return ratio


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):  # whatever a file claims
        return ""

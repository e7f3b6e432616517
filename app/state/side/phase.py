"""The phases of a side, and how one follows another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a side is doing now."""

    EMPTY = "no engine"
    PREPARING = "preparing"
    LOADING = "loading"
    READY = "ready"
    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"
    STOPPING = "stopping"
    FAILED = "failed"
    STALLED = "stalled"
    """A part of decode without a token, in the spans of an answer. No side enters it."""


ANSWERING = frozenset({Phase.QUEUED, Phase.PREFILL, Phase.DECODE, Phase.STOPPING})
OPENING = frozenset({Phase.PREPARING, Phase.LOADING})

_ENDS = {Phase.FAILED, Phase.EMPTY}
"""An engine may die or be closed in any phase."""
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.EMPTY: frozenset({Phase.PREPARING}),
    Phase.PREPARING: frozenset({Phase.LOADING, *_ENDS}),
    Phase.LOADING: frozenset({Phase.READY, *_ENDS}),
    Phase.READY: frozenset({Phase.QUEUED, Phase.PREFILL, *_ENDS}),
    Phase.QUEUED: frozenset({Phase.READY, Phase.STOPPING, *_ENDS}),
    Phase.PREFILL: frozenset({Phase.DECODE, Phase.STOPPING, Phase.READY, *_ENDS}),
    Phase.DECODE: frozenset({Phase.STOPPING, Phase.READY, *_ENDS}),
    Phase.STOPPING: frozenset({Phase.READY, *_ENDS}),
    Phase.FAILED: frozenset({Phase.PREPARING, Phase.EMPTY}),
}
"""Which phases may follow each one."""


@dataclass(frozen=True)
class Span:
    """One phase of an answer."""

    phase: Phase
    began: float
    """Monotonic seconds."""
    seconds: float

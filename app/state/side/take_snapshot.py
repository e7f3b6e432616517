"""One side at one moment, as panels draw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.state.side.side import Side
from app.state.side.snapshot import SideSnapshot


class Seen(NamedTuple):
    """What was measured of a side from outside. None is what nobody reports."""

    process_bytes: int | None
    """Resident memory of its process and the children."""
    bytes_by_gpu: Mapping[int, int]
    """Their memory by the index of the GPU."""
    bandwidth: float | None
    """Bytes per second of its device's memory."""


def side_snapshot(side: Side, now: float, seen: Seen) -> SideSnapshot:
    """What panels show of a side; `now` in seconds since the app started."""
    prompt_tokens, cached_tokens = side.reuse.of(side.conversation.turns, side.title)
    rated = (turn.timing.decode_rate for turn in reversed(side.conversation.turns) if turn.timing)
    return SideSnapshot(
        side.title,
        side.phase,
        side.rates.window(now),
        seen.process_bytes,
        sum(seen.bytes_by_gpu.values()) if seen.bytes_by_gpu else None,
        side.memory,
        side.kv,
        side.build_seconds,
        next(rated, None),
        prompt_tokens,
        cached_tokens,
        side.record.spans(),
        side.record.gaps,
        side.spec.device if side.spec else "",
        side.estimate,
        side.record.cost,
        seen.bytes_by_gpu,
        seen.bandwidth,
        side.spec.devices[1:] if side.spec else (),
    )

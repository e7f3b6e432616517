"""Takes the snapshot of one side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.state.conversation.context_map import context_map
from app.state.side.side import Side
from app.state.side.snapshot import SideSnapshot
from engines.build.server import shown_precision


class ProcessMeasures(NamedTuple):
    """What was measured of a side's process from outside. None is what the system does not report."""

    process_bytes: int | None
    """Resident memory of its process and the children."""
    bytes_by_gpu: Mapping[int, int]
    """Their memory by the index of the GPU."""
    bandwidth: float | None
    """Bytes per second of its device's memory."""


def side_snapshot(side: Side, now: float, measures: ProcessMeasures) -> SideSnapshot:
    """Return what panels show of a side; `now` in seconds since the app started."""
    prompt_tokens, cached_tokens = side.reuse.of(side.conversation.turns, side.title)
    rated = (turn.timing.decode_rate for turn in reversed(side.conversation.turns) if turn.timing)
    spec = side.spec
    return SideSnapshot(
        title=side.title or (side.build.title if side.build and side.build.running else ""),
        phase=side.phase,
        rates=side.rates.window(now),
        process_bytes=measures.process_bytes,
        gpu_bytes=sum(measures.bytes_by_gpu.values()) if measures.bytes_by_gpu else None,
        memory=side.memory,
        kv=side.kv,
        build_seconds=side.build_seconds,
        last_rate=next(rated, None),
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        spans=side.record.spans(),
        gaps=side.record.gaps,
        curve=side.record.curve.points,
        device=spec.device if spec else "",
        context=context_map(side.conversation.turns, side.ready.context if side.ready else 0),
        precision=shown_precision(spec) if spec else "",
        estimate=side.estimate,
        cost=side.record.cost,
        bytes_by_gpu=measures.bytes_by_gpu,
        bandwidth=measures.bandwidth,
        others=spec.devices[1:] if spec else (),
    )

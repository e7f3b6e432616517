"""Measures what an answer costs: bytes read per token, and energy from NVML's counter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.state.conversation.turn import Turn
from app.state.settings.settings import TimingMode
from app.state.side.answer_cost import AnswerCost
from app.state.side.side import Side
from engines.measure.energy import EnergyCounter
from engines.plan.estimate.estimate import bytes_read_per_token
from engines.plan.kv_precision import resolved_kv

ONLY_IN_TURN = "only in turn"
NO_COUNTER = "no counter"
TOO_SHORT = "too short"


@asynccontextmanager
async def count_cost(side: Side, turn: Turn, counter: EnergyCounter) -> AsyncGenerator[None]:
    """Set `side.record.cost` to the cost of the answer that the body computes, unless it raises."""
    side.record.cost = None
    devices = side.spec.devices if side.spec else ()
    alone = turn.own_gpu or turn.mode == TimingMode.IN_TURN.value
    on_gpu = bool(devices) and devices[0].startswith("cuda")
    # Together on one GPU, two engines share its counter: the energy of each is unknown.
    before = await asyncio.to_thread(_joules, counter, devices) if alone and on_gpu else None
    yield
    after = None if before is None else await asyncio.to_thread(_joules, counter, devices)
    spent = after - before if before is not None and after is not None else None
    side.record.cost = cost_of(side, turn, spent, alone)


def cost_of(side: Side, turn: Turn, spent: float | None, alone: bool) -> AnswerCost | None:
    """Return the cost of the answer in `turn`; None without an engine or tokens.

    Args:
        spent: joules of the devices meanwhile; None where they are not counted.
        alone: whether no other engine answered at the same time.
    """
    spec, checkpoint, timing = side.spec, side.checkpoint, turn.timing
    if spec is None or checkpoint is None or timing is None or not timing.tokens:
        return None
    kv = resolved_kv(spec.backend, spec.precision, spec.kv_precision, checkpoint.quantisation)
    middle = turn.prompt_tokens + timing.tokens // 2
    read = bytes_read_per_token(checkpoint, spec.precision, kv, middle) // spec.gpus
    cache = side.estimate.cache if side.estimate else None
    if spent:  # the counter moves several times a second: 0 means too short to be counted
        return AnswerCost(timing.decode_rate, read, spent / timing.tokens, cache=cache)
    why = ONLY_IN_TURN if not alone else NO_COUNTER if spent is None else TOO_SHORT
    return AnswerCost(timing.decode_rate, read, None, why, cache)


def _joules(counter: EnergyCounter, devices: tuple[str, ...]) -> float | None:
    """Return what all devices together have spent; None when one of them is not counted."""
    spent = [joules for device in devices if (joules := counter.joules(device)) is not None]
    return sum(spent) if len(spent) == len(devices) else None

"""What an answer took of its device: bytes read and energy spent, a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.state.settings.settings import TimingMode
from engines.measure.energy import EnergyCounter
from engines.plan.estimate.estimate import bytes_read_per_token
from engines.plan.kv_precision import resolved_kv

if TYPE_CHECKING:
    from app.state.conversation.conversation import Turn
    from app.state.side.side import Side

ONLY_IN_TURN = "only in turn"
NO_COUNTER = "no counter"
TOO_SHORT = "too short"


@dataclass(frozen=True)
class AnswerCost:
    """Of one answer. What cannot be said is None."""

    rate: float | None
    """Decode tok/s."""
    bytes_per_token: int
    """Read by each device for a token in the middle of the answer: active weights, keys and values so far."""
    joules: float | None
    """A token: gross, from the prompt to the last token, whatever else its GPUs did."""
    no_joules: str = ""
    """Why not, in words."""

    def mbu(self, bandwidth: float | None) -> float | None:
        """Model bandwidth utilisation: bytes a token · tok/s / bandwidth, 1.0 for all of it."""
        if not (bandwidth and self.rate):
            return None
        return self.bytes_per_token * self.rate / bandwidth

    def ceiling(self, bandwidth: float | None) -> float | None:
        """Decode tok/s at which the bandwidth would be used up."""
        return bandwidth / self.bytes_per_token if bandwidth and self.bytes_per_token else None


@asynccontextmanager
async def counted(side: Side, turn: Turn, counter: EnergyCounter) -> AsyncGenerator[None]:
    """Account for the answer that is given inside; what is cancelled or fails with an exception is not."""
    side.record.cost = None
    devices = side.spec.devices if side.spec else ()
    alone = turn.mode == TimingMode.IN_TURN.value
    on_gpu = bool(devices) and devices[0].startswith("cuda")
    # Together, two engines share a GPU and its counter, and nobody could tell them apart.
    before = await asyncio.to_thread(_joules, counter, devices) if alone and on_gpu else None
    yield
    after = None if before is None else await asyncio.to_thread(_joules, counter, devices)
    spent = after - before if before is not None and after is not None else None
    side.record.cost = cost_of(side, turn, spent, alone)


def cost_of(side: Side, turn: Turn, spent: float | None, alone: bool) -> AnswerCost | None:
    """What the answer in `turn` took.

    Args:
        spent: joules of the device meanwhile; None where nobody counts them.
        alone: whether no other engine answered at the same time.
    """
    spec, checkpoint, timing = side.spec, side.checkpoint, turn.timing
    if spec is None or checkpoint is None or timing is None or not timing.tokens:
        return None
    kv = resolved_kv(spec.backend, spec.precision, spec.kv_precision)
    middle = turn.prompt_tokens + timing.tokens // 2
    read = bytes_read_per_token(checkpoint, spec.precision, kv, middle) // spec.gpus
    if spent:  # the counter moves several times a second: none at all was too short to be counted
        return AnswerCost(timing.decode_rate, read, spent / timing.tokens)
    why = ONLY_IN_TURN if not alone else NO_COUNTER if spent is None else TOO_SHORT
    return AnswerCost(timing.decode_rate, read, None, why)


def _joules(counter: EnergyCounter, devices: tuple[str, ...]) -> float | None:
    """What all of them have spent; None where one is not counted."""
    spent = [joules for device in devices if (joules := counter.joules(device)) is not None]
    return sum(spent) if len(spent) == len(devices) else None

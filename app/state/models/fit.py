"""Whether a model fits this machine, and at which precision, for a list of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.estimate.estimate import PLAIN, estimate
from engines.plan.estimate.memory_fit import memory_fit
from engines.plan.gguf_formats import offered_precisions, precision_of
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import AUTO
from engines.plan.precision import PRECISIONS


@dataclass(frozen=True)
class Fit:
    """The largest precision at which a model fits into the free memory."""

    state: Literal["fits", "smaller only", "does not fit"]
    precision: str = ""
    """The largest that fits; empty for none."""


def model_fit(checkpoint: Checkpoint, backend: str, context: int, device: Device) -> Fit | None:
    """Return how a model fits with a backend; None where the backend runs none of its precisions."""
    offered = offered_precisions(checkpoint, backend)
    supported = [name for name in offered if _runs(backend, name, device, checkpoint, context)]
    if not supported:
        return None
    by_bits = sorted(supported, key=lambda name: -precision_of(name).bits)
    wanted = [name for name in by_bits if precision_of(name).bits <= _bits(checkpoint)] or by_bits[-1:]
    for name in wanted:
        found = estimate(checkpoint, backend, name, AUTO, context, device)
        if memory_fit(found).state != "does not fit":
            return Fit("fits" if name == wanted[0] else "smaller only", name)
    return Fit("does not fit")


def _runs(backend: str, precision: str, device: Device, checkpoint: Checkpoint, context: int) -> bool:
    return support_of(backend, precision, device, checkpoint, context).state != "unavailable"


def _bits(checkpoint: Checkpoint) -> float:
    """Return the bits of the checkpoint's own weights, at most 16: fp32 checkpoints run as bf16."""
    known = PRECISIONS[checkpoint.dtype].bits if checkpoint.dtype in PLAIN else 16
    return min(16, known)

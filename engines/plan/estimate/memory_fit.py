"""Whether an engine fits into memory, which part is too large, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.plan.estimate.estimate import PLAIN, Estimate

MARGIN = 0.2
"""Measured peaks are within 20 % of the estimate: with a smaller margin, loading may fail."""


@dataclass(frozen=True)
class MemoryFit:
    """Whether the engine fits into the memory that is free now."""

    state: Literal["fits", "tight", "does not fit"]
    reason: str = ""
    """Which part is too large, in one sentence; empty if it fits."""
    remedy: str = ""
    """What the user can do."""


def memory_fit(found: Estimate, other_side_bytes: int = 0) -> MemoryFit:
    """Compare an estimate with the free memory. Unknown memory counts as enough.

    Args:
        other_side_bytes: bytes that the engine of the other side takes on the same device.
    """
    free, host = found.available, found.host_available
    if free is not None and found.peak > free:
        reason, remedy = _missing_part(found, free)
        needs = f"It needs {_gib(found.peak)} on {found.device} and {_gib(free)} is free"
        return MemoryFit("does not fit", f"{needs}: {reason}", remedy)
    if host is not None and found.build_host > host:
        reason = f"Building needs {_gib(found.build_host)} of host memory and {_gib(host)} is free."
        return MemoryFit("does not fit", reason, "Close other applications, or choose a smaller checkpoint.")
    both = found.peak + other_side_bytes
    if free is not None and both > free:
        reason = f"Both sides together need {_gib(both)} and {_gib(free)} is free."
        return MemoryFit("does not fit", reason, "Prepare one side, or choose a lower precision.")
    if free is not None and both * (1 + MARGIN) > free:
        reason = f"It leaves {_gib(free - both)} free, and the estimate may be 20 % off."
        return MemoryFit("tight", reason, _remedy(found))
    return MemoryFit("fits")


def _missing_part(found: Estimate, free: int) -> tuple[str, str]:
    """Return which part exceeds the free memory, and how to reduce it."""
    if found.weights > free:
        return f"the weights alone take {_gib(found.weights)}.", "Choose a lower precision."
    if found.weights + found.other > free:
        reason = f"the weights fit, but {_gib(found.other)} of runtime and activations do not."
        return reason, "Choose a lower precision or a shorter context."
    if found.loaded > free:
        return f"the KV cache takes {_gib(found.kv)} of it.", _smaller_cache(found)
    if found.checkpoint_precision in PLAIN:
        remedy = f"Choose {found.checkpoint_precision.upper()}, the precision of the checkpoint."
    else:
        remedy = "Choose a smaller checkpoint."
    return "the engine fits, but converting the weights while loading does not.", remedy


def _remedy(found: Estimate) -> str:
    """Return how to reduce the largest part."""
    return _smaller_cache(found) if found.kv > found.weights else "A lower precision leaves more free."


def _smaller_cache(found: Estimate) -> str:
    lower = f", or store keys and values as {found.smaller_kv}" if found.smaller_kv else ""
    return f"Choose a shorter context{lower}."


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"

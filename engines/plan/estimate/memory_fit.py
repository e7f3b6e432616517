"""Whether an engine fits, in words: which part is the problem, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.plan.estimate.estimate import PLAIN, Estimate

MARGIN = 0.2
"""Peaks that were measured lie within 20 % of the estimate: with less to spare it may fail."""


@dataclass(frozen=True)
class MemoryFit:
    """What to expect when the engine is loaded on what is free now."""

    word: Literal["fits", "tight", "does not fit"]
    reason: str = ""
    """Which part is the problem, in one sentence; empty for what fits."""
    remedy: str = ""
    """What would help."""


def memory_fit(found: Estimate, beside: int = 0) -> MemoryFit:
    """Judge an estimate. Unknown memory counts as enough.

    Args:
        beside: bytes that the other side takes of the same device.
    """
    free, host = found.available, found.host_available
    if free is not None and found.peak > free:
        reason, remedy = _missing_part(found, free)
        needs = f"It needs {_gib(found.peak)} on {found.device} and {_gib(free)} is free"
        return MemoryFit("does not fit", f"{needs}: {reason}", remedy)
    if host is not None and found.build_host > host:
        reason = f"Building needs {_gib(found.build_host)} of host memory and {_gib(host)} is free."
        return MemoryFit("does not fit", reason, "Close other programs, or choose a smaller checkpoint.")
    if free is not None and found.peak + beside > free:
        reason = f"Both sides together need {_gib(found.peak + beside)} and {_gib(free)} is free."
        return MemoryFit("does not fit", reason, "Prepare one side, or choose a lower precision.")
    if free is not None and (found.peak + beside) * (1 + MARGIN) > free:
        reason = f"It leaves {_gib(free - found.peak - beside)} free, and the estimate may be 20 % off."
        return MemoryFit("tight", reason, _remedy(found))
    return MemoryFit("fits")


def _missing_part(found: Estimate, free: int) -> tuple[str, str]:
    """The part that goes over, and what makes it smaller."""
    if found.weights > free:
        return f"the weights alone take {_gib(found.weights)}.", "Choose a lower precision."
    if found.weights + found.other > free:
        reason = f"the weights fit, but {_gib(found.other)} of runtime and activations do not."
        return reason, "Choose a lower precision or a shorter context."
    if found.loaded > free:
        return f"the KV cache takes {_gib(found.kv)} of it.", _smaller_cache(found)
    if found.checkpoint_precision in PLAIN:
        remedy = f"Choose {found.checkpoint_precision.upper()}, which the checkpoint holds already."
    else:
        remedy = "Choose a smaller checkpoint."
    return "the engine fits, but converting the weights while loading does not.", remedy


def _remedy(found: Estimate) -> str:
    """The largest part is the one worth making smaller."""
    return _smaller_cache(found) if found.kv > found.weights else "A lower precision would leave more."


def _smaller_cache(found: Estimate) -> str:
    lower = f", or store keys and values as {found.smaller_kv}" if found.smaller_kv else ""
    return f"Choose a shorter context{lower}."


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"

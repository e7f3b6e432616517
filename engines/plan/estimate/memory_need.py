"""How much memory is missing to load engines beside those that are loaded already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engines.plan.hardware.hardware import Device


@dataclass(frozen=True)
class MemoryNeed:
    """What an engine needs while it is loaded, on each of its devices."""

    devices: tuple[str, ...]
    """`cpu`, `cuda:0`."""
    bytes_each: int


def missing_bytes(needs: Iterable[MemoryNeed], devices: Sequence[Device]) -> int:
    """Return the bytes that are missing on the device that lacks most; 0 if all fits.

    Unknown free memory counts as enough.
    """
    needed: dict[str, int] = defaultdict(int)
    for need in needs:
        for device in need.devices:
            needed[device] += need.bytes_each
    free = {one.name: one.memory_available for one in devices}
    lacking = (
        count - available for name, count in needed.items() if (available := free.get(name)) is not None
    )
    return max(0, *lacking, 0)

"""The GPU that a side's engine runs on: the chosen one, or the side's own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.state.settings.settings import Settings
from engines.build.spec import EngineSpec
from engines.plan.hardware.hardware import Device


def gpu_of(side: str, wanted: str, gpus: Sequence[Device], count: int = 1) -> Device | None:
    """Return the GPU for a side, or the first of those that hold a part of its weights; None without GPUs.

    By default the right side has the second half of the GPUs that are of the first one's model: of two the
    second. On another model its speed could not be compared with that of the left side.

    Args:
        side: `left` or `right`.
        wanted: `cuda:1`; any name that this machine does not have means the default.
        count: Over how many GPUs the weights are split. They may have to begin before the wanted one.
    """
    if not gpus:
        return None
    alike = [gpu for gpu in gpus if gpu.title == gpus[0].title]
    default = alike[len(alike) // 2] if side == "right" else gpus[0]
    first = next((gpu for gpu in gpus if gpu.name == wanted), default)
    return gpus[max(0, min(gpus.index(first), len(gpus) - count))]


def with_gpus(settings: Settings, gpus: Sequence[Device]) -> Settings:
    """Return the settings with the GPU of each side by name, where there are several: engines stay on theirs
    when the sides are swapped."""
    if len(gpus) < 2:
        return settings
    named = {}
    for side, choice in (("left", settings.left), ("right", settings.right)):
        gpu = gpu_of(side, choice.device, gpus, choice.gpus)
        named[side] = msgspec.structs.replace(choice, device=gpu.name if gpu else "")
    return msgspec.structs.replace(settings, **named)


def on_own_gpus(left: EngineSpec | None, right: EngineSpec | None) -> bool:
    """Return whether both engines run on GPUs, and on different ones: neither slows down the other."""
    if left is None or right is None:
        return False
    both = (*left.devices, *right.devices)
    return all(name.startswith("cuda") for name in both) and not set(left.devices) & set(right.devices)

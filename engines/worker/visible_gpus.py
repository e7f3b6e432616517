"""Let a worker see only the GPUs of its engine, whose numbers then begin with 0.

So an engine does not depend on the number of the GPU that it was built on (compiled kernels name it), and no
library takes memory of another GPU. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.hardware.hardware import Device, gpus

VARIABLE = "CUDA_VISIBLE_DEVICES"
_chosen: list[tuple[str, ...]] = []
"""The devices of the engine that this process sees, once they were chosen."""


def only_own_gpus(spec: EngineSpec) -> EngineSpec:
    """Hide the other GPUs from this process; return the spec with the number that its GPU then has.

    To be called before CUDA is initialised. Engines on the first GPU see all: their numbers are the same.

    Raises:
        EngineError: `no-device`: there is no such GPU; `other-device`: the process has used another one.
    """
    if not spec.device.startswith("cuda"):
        return spec
    if _chosen and _chosen[0] != spec.devices:
        words = f"This worker has used {_chosen[0][0]}, and cannot change to {spec.device}."
        raise EngineError("other-device", words, "Restart this side.")
    if not _chosen:
        if first_of(spec):
            os.environ[VARIABLE] = ",".join(_names(spec, gpus()))
        _chosen.append(spec.devices)
    return replace(spec, device="cuda:0")


def first_of(spec: EngineSpec) -> int:
    """Return the number of the spec's GPU, the first of several."""
    return int(spec.device.partition(":")[2] or 0)


def _names(spec: EngineSpec, found: Sequence[Device]) -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES calls the GPUs of the spec.

    Raises:
        EngineError: `no-device`.
    """
    first = first_of(spec)
    setting = os.environ.get(VARIABLE)
    numbers = [part.strip() for part in setting.split(",")] if setting else []
    if not found and len(numbers) >= first + spec.gpus:  # without NVML, the variable says what there is
        return numbers[first : first + spec.gpus]
    chosen = found[first : first + spec.gpus]
    if len(chosen) < spec.gpus:
        there_are = ", ".join(gpu.name for gpu in found) or "none"
        words = f"There is no GPU {spec.devices[-1]} here. This machine has: {there_are}."
        raise EngineError("no-device", words, "Choose another GPU (F2).")
    return [
        gpu.uuid or (numbers[place] if numbers else str(place)) for place, gpu in enumerate(chosen, first)
    ]

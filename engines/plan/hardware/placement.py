"""Choose the device that a backend runs on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata
from itertools import takewhile

from engines.backends.registry import BACKENDS
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support_table


def device_of(backend: str, cpu: Device, gpu: Device | None) -> Device:
    """Return the GPU if there is one that the backend can use, else the CPU.

    Backends that run on GPUs only get it even if they cannot use it, so that the support table explains why.
    """
    if gpu is None:
        return cpu
    if backend not in BACKENDS:  # of another release: refused when it is opened
        return cpu
    if BACKENDS[backend].needs_gpu:
        return gpu
    return gpu if torch_sees_gpus() and _runs_on(backend, gpu) else cpu


def gpu_choices(backend: str, gpus: Sequence[Device], kv_heads: int | None = None) -> tuple[int, ...]:
    """Return the numbers of GPUs that a backend can split weights over: 1, 2, 4 …, all of one model.

    Args:
        kv_heads: of the checkpoint. Where each layer is split they must be divisible by the number of GPUs.
            None if unknown.
    """
    how = BACKENDS[backend].splits if backend in BACKENDS else ""
    same_model = takewhile(lambda one: one.title == gpus[0].title and not one.is_mig, gpus)
    maximum = sum(1 for _ in same_model) if how else 1
    powers = (1 << exponent for exponent in range(max(1, maximum).bit_length()))
    divided = (kv_heads or 0) if how == "tensors" else 0
    return tuple(count for count in powers if not divided % count)


@cache
def _runs_on(backend: str, device: Device) -> bool:
    return any(found.state != "unavailable" for found in support_table(backend, device).values())


@cache
def torch_sees_gpus() -> bool:
    """Return whether the installed PyTorch was built for GPUs; CPU builds have `+cpu` in their version."""
    try:
        return "+cpu" not in metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False

"""Where a backend runs on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata
from itertools import takewhile

from engines.backends.registry import BACKENDS
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support_table


def device_of(backend: str, cpu: Device, gpu: Device | None) -> Device:
    """The GPU, if there is one that the backend can use; else the CPU.

    What has an environment of its own runs on a GPU only: on one that it cannot use, the table says why.
    """
    if gpu is None:
        return cpu
    if BACKENDS[backend].own_environment:
        return gpu
    return gpu if torch_sees_gpus() and _runs_on(backend, gpu) else cpu


def gpu_choices(backend: str, gpus: Sequence[Device], kv_heads: int | None = None) -> tuple[int, ...]:
    """Over how many GPUs a backend can split weights: 1, 2, 4 … of one model, from the first on.

    Args:
        kv_heads: of the checkpoint: each GPU gets as many as the others. None where they are not known.
    """
    alike = takewhile(lambda one: one.title == gpus[0].title and not one.is_mig, gpus)
    most = sum(1 for _ in alike) if backend in BACKENDS and BACKENDS[backend].splits else 1
    powers = (1 << place for place in range(max(1, most).bit_length()))
    return tuple(count for count in powers if not (kv_heads or 0) % count)


@cache
def _runs_on(backend: str, device: Device) -> bool:
    return any(found.state != "unavailable" for found in support_table(backend, device).values())


@cache
def torch_sees_gpus() -> bool:
    """Whether the PyTorch that is installed here was built for GPUs: others are marked in their version."""
    try:
        return "+cpu" not in metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False

"""Where a backend runs on this machine."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from engines.backends.registry import BACKENDS
from engines.plan.hardware import Device
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

"""What an engine will take, before it is built: for the estimates on Prepare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.state.prepare.machine_state import MachineState
from app.state.settings.settings import EngineChoice
from engines.backends.registry import BACKENDS
from engines.build.history import ExpectedBuild, expected_build
from engines.build.spec import EngineSpec
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.estimate.estimate import Estimate, MemoryPart, estimate, parts
from engines.plan.estimate.memory_fit import MemoryFit, memory_fit
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.split import across_gpus, per_gpu
from engines.worker.values import MemoryUsage


@dataclass(frozen=True)
class Loaded:
    """The engine that stands on a side now, where it is the chosen one."""

    memory: MemoryUsage | None
    """As the engine reports it."""
    held: int | None
    """Bytes of its process."""


@dataclass(frozen=True)
class Forecast:
    """Everything that can be said before anything is built."""

    estimate: Estimate
    verdict: MemoryFit
    parts: tuple[MemoryPart, ...]
    """Estimate and, once loaded, what the engine takes."""
    builds: bool
    """Whether anything is built at all."""
    build: ExpectedBuild | None
    """None without a build of this backend on this machine."""


def estimate_of(spec: EngineSpec, checkpoint: Checkpoint) -> Estimate:
    """What Prepare estimates for an engine, on all its devices together, whatever is free now."""
    kind: Literal["cpu", "cuda"] = "cuda" if spec.device.startswith("cuda") else "cpu"
    device = Device(spec.device, kind, "", None, None)
    found = estimate(checkpoint, spec.backend, spec.precision, spec.kv_precision, spec.context, device)
    return across_gpus(found, spec.gpus)


def forecast(
    choice: EngineChoice,
    checkpoint: Checkpoint,
    context: int,
    around: MachineState,
    loaded: Loaded | None = None,
    beside: int = 0,
) -> Forecast:
    """Look ahead.

    Args:
        beside: bytes that the other side takes of the same device.
    """
    found = estimate(
        checkpoint,
        choice.backend,
        choice.precision,
        choice.kv_precision,
        context,
        around.device,
        bandwidth=around.bandwidth,
    )
    found = per_gpu(found, choice.gpus)
    return Forecast(
        found,
        memory_fit(found, beside),
        parts(found, loaded.memory if loaded else None, loaded.held if loaded else None),
        BACKENDS[choice.backend].builds,
        expected_build(around.builds, choice.backend, choice.precision, found.weights),
    )

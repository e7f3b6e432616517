"""Memory, speed and build time of an engine before it is built: the estimates on Models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.state.prepare.engine_speeds import fastest_text
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
    """Measured memory of the engine that is loaded on a side, if it is the chosen one."""

    memory: MemoryUsage | None
    """As the engine reports it."""
    held: int | None
    """Bytes of its process."""


@dataclass(frozen=True)
class Forecast:
    """All estimates for one choice."""

    estimate: Estimate
    fit: MemoryFit
    parts: tuple[MemoryPart, ...]
    """Estimated parts and, once loaded, the measured ones."""
    builds: bool
    """Whether an engine is built: not with every backend, nor of a GGUF file."""
    build: ExpectedBuild | None
    """None if this backend was never built on this machine."""
    fastest: str = ""
    """The fastest engine of the CPU, with its speed; empty where it was not measured."""


def estimate_of(spec: EngineSpec, checkpoint: Checkpoint | None) -> Estimate | None:
    """Return the estimate for an engine on all its devices together, regardless of free memory.

    None without a checkpoint: the engine runs on a server.
    """
    if checkpoint is None:
        return None
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
    other_side_bytes: int = 0,
) -> Forecast:
    """Return the estimates for a choice.

    Args:
        other_side_bytes: memory that the other side uses on the same device.
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
    found = per_gpu(found, choice.gpus, at_once=BACKENDS[choice.backend].splits != "layers")
    return Forecast(
        found,
        memory_fit(found, other_side_bytes),
        parts(found, loaded.memory if loaded else None, loaded.held if loaded else None),
        BACKENDS[choice.backend].builds and not checkpoint.gguf_precision,
        expected_build(around.builds, choice.backend, choice.precision, found.weights),
        "" if checkpoint.gguf_precision else fastest_text(choice, around.speeds),
    )

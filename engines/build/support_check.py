"""Refuse unsupported combinations of backend, precision and device before anything is fetched or built."""

from __future__ import annotations

from pathlib import Path

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.gguf_checkpoint import is_gguf_file
from engines.plan.hardware.hardware import Device, devices
from engines.plan.hardware.targets import capability_of
from engines.plan.kv_precision import AUTO, KV_PRECISIONS
from engines.plan.precision import rule
from engines.plan.support.gguf_files import gguf_support


def refuse_unsupported(spec: EngineSpec) -> None:
    """Look the precision up in the support table: settings and command lines do not pass Prepare's picker.

    Blocking: it asks the driver.

    Raises:
        EngineError: the KV precision or the GPU to build for is unknown, or the precision cannot run on the
            device. A device that is not found is left to the backend.
    """
    if spec.kv_precision != AUTO and spec.kv_precision not in KV_PRECISIONS:
        raise EngineError(
            "unknown-kv-precision",
            f"This release has no KV cache precision {spec.kv_precision!r}.",
            "Choose another one with F2.",
        )
    if is_gguf_file(Path(spec.checkpoint)):  # by its own precision, once it has been read
        return
    device = _target(spec) or next((one for one in devices() if one.name == spec.device), None)
    row = rule(spec.backend, spec.precision, device) if device else None
    if row is not None and row.support.state == "unavailable":
        raise EngineError("unsupported-precision", row.support.reason, row.support.remedy)


def refuse_other_backends(spec: EngineSpec, checkpoint: Checkpoint) -> None:
    """Check that a GGUF file is run in its own precision by the backend that reads it, or dequantised.

    Blocking: it asks the driver.

    Raises:
        EngineError: `unsupported-checkpoint`.
    """
    if not checkpoint.gguf_precision:
        return
    known = devices()
    device = next((one for one in known if one.name == spec.device), known[0])
    found = gguf_support(spec.backend, spec.precision, checkpoint, device)
    if found.state == "unavailable":
        raise EngineError("unsupported-checkpoint", found.reason, found.remedy)


def _target(spec: EngineSpec) -> Device | None:
    """Return the kind of GPU that the engine is to be built for; None if it is not named."""
    if not spec.target:
        return None
    capability = capability_of(spec.target)
    return Device(spec.device, "cuda", spec.target, None, None, compute_capability=capability)

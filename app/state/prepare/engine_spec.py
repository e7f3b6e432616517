"""From the settings to the spec of an engine."""

from __future__ import annotations

from collections.abc import Mapping

from app.state.prepare.gguf_choice import gguf_file
from app.state.settings.settings import DEMO, EngineChoice, Server, Settings
from engines.build.server import is_remote, server_of, server_spec
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of


def engine_spec(settings: Settings, choice: EngineChoice, cpu: Device, gpu: Device | None) -> EngineSpec:
    """Return the spec of `choice` for its own or the settings' checkpoint, on `gpu` or the CPU.

    Args:
        gpu: the one that it is to run on if its backend uses GPUs; None where there is none.
    """
    if choice.server.address:
        server = choice.server
        return server_spec(server.address, server.model, server.key, server.headers, settings.context)
    return EngineSpec(
        checkpoint=choice.checkpoint_path or settings.checkpoint_path,
        backend=choice.backend,
        precision=choice.precision,
        device=device_of(choice.backend, cpu, gpu).name,
        kv_precision=choice.kv_precision,
        context=settings.context,
        options=choice.options,
    )


def choices_of(specs: Mapping[str, EngineSpec]) -> dict[str, object]:
    """Return the settings that name these engines, by side; checkpoint and context only if all agree.

    A GGUF file beside another checkpoint is that side's own.
    """
    checkpoints = {spec.checkpoint for spec in specs.values() if not is_remote(spec)}
    files = {name for name in checkpoints if gguf_file(name)} if len(checkpoints) > 1 else set()
    checkpoints -= files
    changes: dict[str, object] = {
        name: EngineChoice(
            spec.backend,
            spec.precision,
            spec.kv_precision,
            spec.calibration,
            spec.gpus,
            _device(name, spec),
            Server(*server_of(spec)) if is_remote(spec) else Server(),
            spec.checkpoint if spec.checkpoint in files else "",
        )
        for name, spec in specs.items()
    }
    if len(checkpoints) == 1:
        [checkpoint] = checkpoints
        changes["checkpoint"] = DEMO if checkpoint == str(CHECKPOINT) else checkpoint
    contexts = {spec.context for spec in specs.values()}
    if len(contexts) == 1:
        [changes["context"]] = contexts
    return changes


def _device(side: str, spec: EngineSpec) -> str:
    """Return the GPU to name in the settings; empty where it is the default on every machine."""
    default = not spec.device.startswith("cuda") or (side, spec.device) == ("left", "cuda:0")
    return "" if default else spec.device

"""From the settings to the spec of an engine."""

from __future__ import annotations

from app.state.settings.settings import EngineChoice, Settings
from engines.build.spec import EngineSpec
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of


def engine_spec(settings: Settings, choice: EngineChoice, cpu: Device, gpu: Device | None) -> EngineSpec:
    """Return the spec of `choice` for the checkpoint and context of the settings, on its default device.

    Args:
        gpu: the first GPU, if there is one.
    """
    return EngineSpec(
        checkpoint=settings.checkpoint_path,
        backend=choice.backend,
        precision=choice.precision,
        device=device_of(choice.backend, cpu, gpu).name,
        kv_precision=choice.kv_precision,
        context=settings.context,
        options=choice.options,
    )

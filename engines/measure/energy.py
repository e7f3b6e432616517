"""Energy that a GPU has spent, from NVML's counter."""

from __future__ import annotations

import os

from engines.measure.gpu import thousandth
from engines.plan.hardware.hardware import visible
from engines.plan.hardware.nvml import Nvml


class EnergyCounter:
    """Use it from one thread at a time, not from an event loop; NVML is initialised at the first look."""

    def __init__(self) -> None:
        self._nvml: Nvml | None = None

    def joules(self, device: str) -> float | None:
        """What `cuda:N` has spent since its driver was loaded; None where nobody counts it (MIG, old)."""
        nvml = self._nvml = self._nvml if self._nvml and self._nvml.is_alive() else Nvml.open()
        if nvml is None:
            return None
        found = [(handle, nvml.text("nvmlDeviceGetUUID", handle)) for handle in nvml.devices()]
        handles = visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
        number = int(device.partition(":")[2] or 0)
        if number >= len(handles):
            return None
        return thousandth(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handles[number]))

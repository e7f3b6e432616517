"""GPU energy from NVML's counter."""

from __future__ import annotations

import os

from engines.measure.gpu import from_milli
from engines.plan.hardware.hardware import cuda_visible
from engines.plan.hardware.nvml import Nvml


class EnergyCounter:
    """Reads the energy counter of a GPU. Use it from one thread at a time and not from an event loop.

    NVML is initialised at the first reading.
    """

    def __init__(self) -> None:
        self._nvml: Nvml | None = None

    def joules(self, device: str) -> float | None:
        """Return the joules of `cuda:N` since driver load; None without a counter (MIG, old GPUs)."""
        nvml = self._nvml = self._nvml if self._nvml and self._nvml.is_alive() else Nvml.open()
        if nvml is None:
            return None
        found = [(handle, nvml.text("nvmlDeviceGetUUID", handle)) for handle in nvml.devices()]
        handles = cuda_visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
        number = int(device.partition(":")[2] or 0)
        if number >= len(handles):
            return None
        return from_milli(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handles[number]))

"""What the GPUs are doing now, as NVML tells it. Cheap, and never an exception: N/A is None."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

from engines.plan.hardware.hardware import visible
from engines.plan.hardware.nvml import Nvml

RETRY_SECONDS = 10.0
"""How long to leave a driver alone after it stopped to answer."""
NVML_TEMPERATURE_GPU = 0
NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2
HW_SLOWDOWN, HW_CAUSES = 8, 64 | 128
"""The hardware's slowdown, and the two bits that name its cause."""
SLOWED_BY = {
    4: "power limit",
    32 | 64: "heat",
    128: "power supply",
    HW_SLOWDOWN: "heat or power supply",
    2: "clocks set by hand",
    16: "another GPU, in step with it",
    256: "display clock",
    512: "board limit",
    1024: "voltage limit",
}
"""Bits of nvmlClocksEventReasons (the last two: of the older nvmlClocksThrottleReasons) to words. Bit 1,
idle, is no throttle. https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"""


@dataclass(frozen=True)
class GpuSample:
    """A GPU, or an instance of one that is split. What NVML does not support there is None."""

    index: int
    """Place among the devices that answer, in the driver's order."""
    name: str
    uuid: str
    device: str = ""
    """`cuda:0`, as in `EngineSpec.device`; empty where CUDA_VISIBLE_DEVICES hides it from engines."""
    memory_used: int | None = None
    memory_total: int | None = None
    utilisation: float | None = None
    """Percent of the last sample period (up to a second) in which a kernel ran."""
    power: float | None = None
    """Watts."""
    power_limit: float | None = None
    """Watts that the driver holds it to."""
    temperature: float | None = None
    """Degrees Celsius."""
    sm_clock: int | None = None
    """MHz of the multiprocessors now."""
    sm_clock_most: int | None = None
    memory_clock: int | None = None
    memory_clock_most: int | None = None
    slowed_by: tuple[str, ...] | None = None
    """What holds the clocks down, in words; None where the driver does not say."""
    energy: float | None = None
    """Joules since the driver was loaded (Volta and newer)."""
    process_bytes: dict[int, int] = field(default_factory=dict, hash=False)
    """Bytes by process id, where the driver says; in a container the ids are those of the host."""

    @property
    def is_instance(self) -> bool:
        """Whether it is a part of a split GPU: power, heat and clocks are known of the whole GPU only."""
        return self.uuid.startswith("MIG-")

    def memory_of(self, pids: frozenset[int]) -> int | None:
        """Bytes of these processes; None where the driver names none of them."""
        found = [size for pid, size in self.process_bytes.items() if pid in pids]
        return sum(found) if found else None


class GpuSampler:
    """Use one from one thread at a time; NVML is initialised at the first sample."""

    def __init__(self) -> None:
        self._nvml: Nvml | None = None
        self._retry_at: float | None = 0.0
        self._unchanging: dict[str, GpuSample] = {}
        """By uuid, what is asked once only."""

    def sample(self) -> tuple[GpuSample, ...]:
        """Every NVIDIA GPU now; empty where there is none or its driver does not answer."""
        nvml = self._library()
        if nvml is None:
            return ()
        found = [(handle, nvml.text("nvmlDeviceGetUUID", handle)) for handle in nvml.devices()]
        seen = visible([(uuid, uuid) for _, uuid in found], os.environ.get("CUDA_VISIBLE_DEVICES"))
        names = {uuid: f"cuda:{number}" for number, uuid in enumerate(seen)}
        return tuple(
            _sample(
                nvml,
                handle,
                replace(self._known(nvml, handle, uuid), index=index, device=names.get(uuid, "")),
            )
            for index, (handle, uuid) in enumerate(found)
        )

    def close(self) -> None:
        """Give NVML back. A later sample opens it again."""
        if self._nvml is not None:
            self._nvml.close()
        self._nvml, self._retry_at = None, 0.0

    def _library(self) -> Nvml | None:
        now = time.monotonic()
        if self._nvml is not None and not self._nvml.is_alive():
            self.close()
            self._retry_at = now + RETRY_SECONDS
        if self._nvml is None and self._retry_at is not None and now >= self._retry_at:
            self._nvml = Nvml.open()
            # Where it was never there, it will not come: looking for the library searches the disk.
            self._retry_at = now + RETRY_SECONDS if self._nvml or self._retry_at else None
        return self._nvml

    def _known(self, nvml: Nvml, handle: Any, uuid: str) -> GpuSample:
        if not uuid or uuid not in self._unchanging:
            self._unchanging[uuid] = GpuSample(
                0,
                nvml.text("nvmlDeviceGetName", handle) or "NVIDIA GPU",
                uuid,
                sm_clock_most=nvml.ask("nvmlDeviceGetMaxClockInfo", handle, NVML_CLOCK_SM),
                memory_clock_most=nvml.ask("nvmlDeviceGetMaxClockInfo", handle, NVML_CLOCK_MEM),
            )
        return self._unchanging[uuid]


def _sample(nvml: Nvml, handle: Any, known: GpuSample) -> GpuSample:
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    rates = nvml.ask("nvmlDeviceGetUtilizationRates", handle)
    temperature = nvml.ask("nvmlDeviceGetTemperature", handle, NVML_TEMPERATURE_GPU)
    processes = nvml.ask("nvmlDeviceGetComputeRunningProcesses", handle) or []
    return replace(
        known,
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        utilisation=None if rates is None else float(rates.gpu),
        power=thousandth(nvml.ask("nvmlDeviceGetPowerUsage", handle)),
        power_limit=thousandth(nvml.ask("nvmlDeviceGetEnforcedPowerLimit", handle)),
        temperature=None if temperature is None else float(temperature),
        sm_clock=nvml.ask("nvmlDeviceGetClockInfo", handle, NVML_CLOCK_SM),
        memory_clock=nvml.ask("nvmlDeviceGetClockInfo", handle, NVML_CLOCK_MEM),
        slowed_by=_slowed_by(nvml, handle),
        energy=thousandth(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handle)),
        process_bytes={int(one.pid): int(one.usedGpuMemory) for one in processes if one.usedGpuMemory},
    )


def _slowed_by(nvml: Nvml, handle: Any) -> tuple[str, ...] | None:
    reasons = nvml.ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if reasons is None:  # drivers before release 535 know it by this name
        reasons = nvml.ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return None if reasons is None else slowed_words(int(reasons))


def slowed_words(reasons: int) -> tuple[str, ...]:
    """What a bit mask of NVML's reasons says, the usual ones first; empty for an idle or free GPU."""
    if reasons & HW_CAUSES:
        reasons &= ~HW_SLOWDOWN
    return tuple(words for bits, words in SLOWED_BY.items() if reasons & bits)


def thousandth(figure: float | None) -> float | None:
    """Milliwatts to watts, millijoules to joules."""
    return None if figure is None else figure / 1000

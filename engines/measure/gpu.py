"""Sample the state of the GPUs with NVML. Never raises: figures that are not available are None."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

from engines.plan.hardware.hardware import cuda_visible
from engines.plan.hardware.nvml import Nvml

RETRY_SECONDS = 10.0
"""Pause before a driver that stopped responding is opened again."""
NVML_TEMPERATURE_GPU = 0
NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2
HW_SLOWDOWN, HW_CAUSES = 8, 64 | 128
"""The bit of a hardware slowdown, and the two bits for its cause."""
THROTTLE_REASONS = {
    4: "power limit",
    32 | 64: "heat",
    128: "power supply",
    HW_SLOWDOWN: "heat or power supply",
    2: "clocks set by hand",
    16: "another GPU (sync boost)",
    256: "display clock",
    512: "board limit",
    1024: "voltage limit",
}
"""Text for the bits of nvmlClocksEventReasons (the last two: of the older nvmlClocksThrottleReasons). Bit 1,
idle, does not count. https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"""


@dataclass(frozen=True)
class GpuSample:
    """A GPU or a MIG instance at one moment. Figures that NVML does not support are None."""

    index: int
    """Index among the devices that respond, in the driver's order."""
    name: str
    uuid: str
    device: str = ""
    """`cuda:0`, as in `EngineSpec.device`; empty if CUDA_VISIBLE_DEVICES hides it from engines."""
    memory_used: int | None = None
    memory_total: int | None = None
    utilisation: float | None = None
    """Percent of the last sample period (up to one second) in which a kernel was running."""
    power: float | None = None
    """Watts."""
    power_limit: float | None = None
    """Enforced power limit in watts."""
    temperature: float | None = None
    """Degrees Celsius."""
    sm_clock: int | None = None
    """Current clock of the multiprocessors in MHz."""
    sm_clock_most: int | None = None
    memory_clock: int | None = None
    memory_clock_most: int | None = None
    slowed_by: tuple[str, ...] | None = None
    """Throttle reasons as text; None if the driver does not report them."""
    energy: float | None = None
    """Joules since the driver was loaded (Volta and newer)."""
    process_bytes: dict[int, int] = field(default_factory=dict, hash=False)
    """Bytes by process id, if the driver reports them; in a container the ids are those of the host."""

    @property
    def is_instance(self) -> bool:
        """Whether it is a MIG instance: power, temperature and clocks are reported for the whole GPU only."""
        return self.uuid.startswith("MIG-")

    def memory_of(self, pids: frozenset[int]) -> int | None:
        """Return the bytes of these processes; None if the driver reports none of them."""
        found = [size for pid, size in self.process_bytes.items() if pid in pids]
        return sum(found) if found else None


class GpuSampler:
    """Samples all GPUs. Use it from one thread at a time; NVML is initialised at the first sample."""

    def __init__(self) -> None:
        self._nvml: Nvml | None = None
        self._retry_at: float | None = 0.0
        self._constants: dict[str, GpuSample] = {}
        """By UUID, the facts that are queried only once."""

    def sample(self) -> tuple[GpuSample, ...]:
        """Return a sample of every NVIDIA GPU; empty without a GPU or if the driver does not respond."""
        nvml = self._library()
        if nvml is None:
            return ()
        found = [(handle, nvml.text("nvmlDeviceGetUUID", handle)) for handle in nvml.devices()]
        visible = cuda_visible([(uuid, uuid) for _, uuid in found], os.environ.get("CUDA_VISIBLE_DEVICES"))
        names = {uuid: f"cuda:{number}" for number, uuid in enumerate(visible)}
        return tuple(
            _sample(
                nvml,
                handle,
                replace(self._constants_of(nvml, handle, uuid), index=index, device=names.get(uuid, "")),
            )
            for index, (handle, uuid) in enumerate(found)
        )

    def close(self) -> None:
        """Shut NVML down. A later sample opens it again."""
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
            # Retry only a driver that worked before: searching for the library reads the disk.
            self._retry_at = now + RETRY_SECONDS if self._nvml or self._retry_at else None
        return self._nvml

    def _constants_of(self, nvml: Nvml, handle: Any, uuid: str) -> GpuSample:
        if not uuid or uuid not in self._constants:
            self._constants[uuid] = GpuSample(
                index=0,
                name=nvml.text("nvmlDeviceGetName", handle) or "NVIDIA GPU",
                uuid=uuid,
                sm_clock_most=nvml.ask("nvmlDeviceGetMaxClockInfo", handle, NVML_CLOCK_SM),
                memory_clock_most=nvml.ask("nvmlDeviceGetMaxClockInfo", handle, NVML_CLOCK_MEM),
            )
        return self._constants[uuid]


def _sample(nvml: Nvml, handle: Any, constants: GpuSample) -> GpuSample:
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    rates = nvml.ask("nvmlDeviceGetUtilizationRates", handle)
    temperature = nvml.ask("nvmlDeviceGetTemperature", handle, NVML_TEMPERATURE_GPU)
    processes = nvml.ask("nvmlDeviceGetComputeRunningProcesses", handle) or []
    return replace(
        constants,
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        utilisation=None if rates is None else float(rates.gpu),
        power=from_milli(nvml.ask("nvmlDeviceGetPowerUsage", handle)),
        power_limit=from_milli(nvml.ask("nvmlDeviceGetEnforcedPowerLimit", handle)),
        temperature=None if temperature is None else float(temperature),
        sm_clock=nvml.ask("nvmlDeviceGetClockInfo", handle, NVML_CLOCK_SM),
        memory_clock=nvml.ask("nvmlDeviceGetClockInfo", handle, NVML_CLOCK_MEM),
        slowed_by=_slowed_by(nvml, handle),
        energy=from_milli(nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handle)),
        process_bytes={int(one.pid): int(one.usedGpuMemory) for one in processes if one.usedGpuMemory},
    )


def _slowed_by(nvml: Nvml, handle: Any) -> tuple[str, ...] | None:
    reasons = nvml.ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if reasons is None:  # the name in drivers before release 535
        reasons = nvml.ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return None if reasons is None else throttle_reasons(int(reasons))


def throttle_reasons(reasons: int) -> tuple[str, ...]:
    """Return the text of NVML's bit mask of reasons, the common ones first; empty for an unthrottled GPU."""
    if reasons & HW_CAUSES:
        reasons &= ~HW_SLOWDOWN
    return tuple(text for bits, text in THROTTLE_REASONS.items() if reasons & bits)


def from_milli(figure: float | None) -> float | None:
    """Convert milliwatts to watts or millijoules to joules."""
    return None if figure is None else figure / 1000

"""A double of NVIDIA's management library: the functions of `pynvml` that are called, over made-up GPUs.

Use an instance where the module would be: `monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))`.
It refuses what the real one refuses: every call before `nvmlInit` and after the last `nvmlShutdown`, an
index without a device, MIG questions to a GPU without MIG, figures that a device does not support.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

_Figure = TypeVar("_Figure")


class NVMLError(Exception):
    """The root of the library's errors."""


class NVMLError_Uninitialized(NVMLError):  # noqa: N801, N818 - the library's name
    """Asked before nvmlInit, or after nvmlShutdown."""


class NVMLError_InvalidArgument(NVMLError):  # noqa: N801, N818
    """An index without a device, or no handle."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818
    """This device has no such figure."""


class NVMLError_NotFound(NVMLError):  # noqa: N801, N818
    """A MIG slot without an instance."""


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801, N818
    """No driver is installed."""


class NVMLError_GpuIsLost(NVMLError):  # noqa: N801, N818
    """The device fell off the bus."""


@dataclass
class Memory:
    """c_nvmlMemory_t."""

    total: int
    free: int
    used: int


@dataclass
class Utilization:
    """c_nvmlUtilization_t, percent."""

    gpu: int
    memory: int


@dataclass
class ProcessInfo:
    """c_nvmlProcessInfo_t; the memory is None where the driver does not say."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - the library's name


@dataclass
class Gpu:
    """A made-up GPU, or an instance of one. A figure that is None is one that it does not support."""

    name: str = "NVIDIA H200"
    uuid: str = "GPU-00000000-0000-0000-0000-000000000000"
    memory: Memory | None = field(default_factory=lambda: Memory(150_000_000_000, 149_000_000_000, 10**9))
    compute_capability: tuple[int, int] | None = (9, 0)
    utilisation: int | None = 42
    milliwatts: int | None = 123_400
    limit_milliwatts: int | None = 700_000
    sm_mhz: int | None = 1755
    event_reasons: int | None = 1
    """Bit mask; None for a driver that knows the older name only."""
    throttle_reasons: int | None = None
    temperature: int | None = 51
    millijoules: int | None = 5_000_000
    memory_mhz: int | None = 3201
    bus_bits: int | None = 6144
    processes: tuple[ProcessInfo, ...] = ()
    instances: tuple[Gpu | None, ...] | None = None
    """MIG slots; None for a GPU that cannot be split."""
    mig_enabled: bool = False
    is_lost: bool = False


class Nvml:
    """Stands in for the module `pynvml`. Its functions have the library's names and arguments."""

    NVMLError = NVMLError

    def __init__(self, gpus: tuple[Gpu, ...] = (), driver: str = "580.95.05", missing: bool = False) -> None:
        self.gpus = gpus
        self.driver = driver
        self.missing = missing
        """No driver on this machine: nvmlInit fails."""
        self.references = 0
        self.initialisations = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if self.missing:
            raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")
        self.references += 1
        self.initialisations += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._check()
        self.references -= 1

    def unload(self) -> None:
        """The driver is reloaded: every user has to initialise anew."""
        self.references = 0

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        self._check()
        return self.driver

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._check()
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:  # noqa: N802
        self._check()
        if not 0 <= index < len(self.gpus):
            raise NVMLError_InvalidArgument("Invalid Argument")
        if self.gpus[index].is_lost:
            raise NVMLError_GpuIsLost("GPU is lost")
        return self.gpus[index]

    def nvmlDeviceGetMigMode(self, device: Gpu) -> list[int]:  # noqa: N802
        self._check(device)
        if device.instances is None:
            raise NVMLError_NotSupported("Not Supported")
        return [int(device.mig_enabled), int(device.mig_enabled)]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Gpu) -> int:  # noqa: N802
        self._check(device)
        return len(device.instances or ())

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Gpu, index: int) -> Gpu:  # noqa: N802
        self._check(device)
        slots = device.instances or ()
        instance = slots[index] if 0 <= index < len(slots) else None
        if instance is None:
            raise NVMLError_NotFound("Not Found")
        return instance

    def nvmlDeviceGetName(self, handle: Gpu) -> str:  # noqa: N802
        self._check(handle)
        return handle.name

    def nvmlDeviceGetUUID(self, handle: Gpu) -> str:  # noqa: N802
        self._check(handle)
        return handle.uuid

    def nvmlDeviceGetMemoryInfo(self, handle: Gpu, version: int | None = None) -> Memory:  # noqa: N802
        return self._figure(handle, handle.memory)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Gpu) -> tuple[int, int]:  # noqa: N802
        return self._figure(handle, handle.compute_capability)

    def nvmlDeviceGetUtilizationRates(self, handle: Gpu) -> Utilization:  # noqa: N802
        return Utilization(self._figure(handle, handle.utilisation), 0)

    def nvmlDeviceGetPowerUsage(self, handle: Gpu) -> int:  # noqa: N802
        return self._figure(handle, handle.milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Gpu) -> int:  # noqa: N802
        return self._figure(handle, handle.limit_milliwatts)

    def nvmlDeviceGetClockInfo(self, handle: Gpu, type: int) -> int:  # noqa: N802, A002
        if not 0 <= type <= 3:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._figure(handle, handle.memory_mhz if type == 2 else handle.sm_mhz)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Gpu) -> int:  # noqa: N802
        return self._figure(handle, handle.event_reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Gpu) -> int:  # noqa: N802
        return self._figure(handle, handle.throttle_reasons)

    def nvmlDeviceGetTemperature(self, handle: Gpu, sensor: int) -> int:  # noqa: N802
        if sensor != 0:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._figure(handle, handle.temperature)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Gpu) -> int:  # noqa: N802
        return self._figure(handle, handle.millijoules)

    def nvmlDeviceGetMaxClockInfo(self, handle: Gpu, type: int) -> int:  # noqa: N802, A002
        if not 0 <= type <= 3:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._figure(handle, handle.memory_mhz if type == 2 else 1980)

    def nvmlDeviceGetMemoryBusWidth(self, device: Gpu) -> int:  # noqa: N802
        return self._figure(device, device.bus_bits)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Gpu) -> list[ProcessInfo]:  # noqa: N802
        self._check(handle)
        return list(handle.processes)

    def _check(self, handle: Gpu | None = None) -> None:
        if self.references <= 0:
            raise NVMLError_Uninitialized("Uninitialized")
        if handle is not None and not isinstance(handle, Gpu):
            raise NVMLError_InvalidArgument("Invalid Argument")
        if handle is not None and handle.is_lost:
            raise NVMLError_GpuIsLost("GPU is lost")

    def _figure(self, handle: Gpu, value: _Figure | None) -> _Figure:
        self._check(handle)
        if value is None:
            raise NVMLError_NotSupported("Not Supported")
        return value

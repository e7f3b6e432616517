"""A double of NVIDIA's management library: the functions of `pynvml` that the project calls, with fake GPUs.

Replace the module by an instance: `monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))`. It
raises the errors of the real library: for calls before `nvmlInit` or after the last `nvmlShutdown`, an
invalid index, MIG calls on a GPU without MIG, and values that a device does not support.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

_Value = TypeVar("_Value")


class NVMLError(Exception):
    """The base class of the library's errors."""


class NVMLError_Uninitialized(NVMLError):  # noqa: N801, N818 - the library's name
    """A call before nvmlInit or after nvmlShutdown."""


class NVMLError_InvalidArgument(NVMLError):  # noqa: N801, N818
    """An invalid index or handle."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818
    """The device does not support this value."""


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
    """c_nvmlUtilization_t, in percent."""

    gpu: int
    memory: int


@dataclass
class ProcessInfo:
    """c_nvmlProcessInfo_t; the memory is None if the driver does not report it."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - the library's name


@dataclass
class Gpu:
    """A fake GPU or MIG instance. Values that are None are not supported."""

    name: str = "NVIDIA H200"
    uuid: str = "GPU-00000000-0000-0000-0000-000000000000"
    memory: Memory | None = field(default_factory=lambda: Memory(150_000_000_000, 149_000_000_000, 10**9))
    compute_capability: tuple[int, int] | None = (9, 0)
    utilisation: int | None = 42
    milliwatts: int | None = 123_400
    limit_milliwatts: int | None = 700_000
    sm_mhz: int | None = 1755
    event_reasons: int | None = 1
    """Bit mask; None for a driver that has only the older function."""
    throttle_reasons: int | None = None
    temperature: int | None = 51
    millijoules: int | None = 5_000_000
    memory_mhz: int | None = 3201
    bus_bits: int | None = 6144
    processes: tuple[ProcessInfo, ...] = ()
    instances: tuple[Gpu | None, ...] | None = None
    """MIG slots; None for a GPU without MIG."""
    mig_enabled: bool = False
    is_lost: bool = False


class Nvml:
    """Replaces the module `pynvml`. The functions have the library's names and arguments."""

    NVMLError = NVMLError

    def __init__(self, gpus: tuple[Gpu, ...] = (), driver: str = "580.95.05", missing: bool = False) -> None:
        self.gpus = gpus
        self.driver = driver
        self.missing = missing
        """Whether there is no driver: nvmlInit then fails."""
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
        """Reload the driver: every user has to call nvmlInit again."""
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
        return self._value(handle, handle.memory)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Gpu) -> tuple[int, int]:  # noqa: N802
        return self._value(handle, handle.compute_capability)

    def nvmlDeviceGetUtilizationRates(self, handle: Gpu) -> Utilization:  # noqa: N802
        return Utilization(self._value(handle, handle.utilisation), 0)

    def nvmlDeviceGetPowerUsage(self, handle: Gpu) -> int:  # noqa: N802
        return self._value(handle, handle.milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Gpu) -> int:  # noqa: N802
        return self._value(handle, handle.limit_milliwatts)

    def nvmlDeviceGetClockInfo(self, handle: Gpu, type: int) -> int:  # noqa: N802, A002
        if not 0 <= type <= 3:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._value(handle, handle.memory_mhz if type == 2 else handle.sm_mhz)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Gpu) -> int:  # noqa: N802
        return self._value(handle, handle.event_reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Gpu) -> int:  # noqa: N802
        return self._value(handle, handle.throttle_reasons)

    def nvmlDeviceGetTemperature(self, handle: Gpu, sensor: int) -> int:  # noqa: N802
        if sensor != 0:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._value(handle, handle.temperature)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Gpu) -> int:  # noqa: N802
        return self._value(handle, handle.millijoules)

    def nvmlDeviceGetMaxClockInfo(self, handle: Gpu, type: int) -> int:  # noqa: N802, A002
        if not 0 <= type <= 3:
            raise NVMLError_InvalidArgument("Invalid Argument")
        return self._value(handle, handle.memory_mhz if type == 2 else 1980)

    def nvmlDeviceGetMemoryBusWidth(self, device: Gpu) -> int:  # noqa: N802
        return self._value(device, device.bus_bits)

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

    def _value(self, handle: Gpu, value: _Value | None) -> _Value:
        self._check(handle)
        if value is None:
            raise NVMLError_NotSupported("Not Supported")
        return value

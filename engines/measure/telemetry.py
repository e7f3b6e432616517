"""What processes, the machine and its GPUs are doing now. Cheap, and never an exception: N/A is None."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from engines.plan.nvml import Nvml

TREE_SECONDS = 2.0
"""How long a list of children is good: finding them reads /proc of every process on the machine."""
RETRY_SECONDS = 10.0
"""How long to leave a driver alone after it stopped to answer."""
NVML_TEMPERATURE_GPU = 0


@dataclass(frozen=True)
class ProcessSample:
    """A process and its children."""

    pid: int
    resident_bytes: int
    """Resident memory (RSS); pages that several of them share are counted in each."""
    cpu_percent: float | None
    """Since the last sample, 100 for one core in full use; None in the first sample."""
    processes: int
    """How many there are, the process itself included."""


@dataclass(frozen=True)
class MachineSample:
    """The whole machine."""

    cpu_percent: float | None
    """Of all cores together, since the last sample; None in the first."""
    memory_total: int
    memory_available: int
    """Bytes that a program could get without swapping."""

    @property
    def memory_used(self) -> int:
        """Bytes that no other program could get."""
        return self.memory_total - self.memory_available


@dataclass(frozen=True)
class GpuSample:
    """A GPU, or an instance of one that is split. What NVML does not support there is None."""

    index: int
    """Place among the devices that answer, in the driver's order."""
    name: str
    uuid: str
    memory_used: int | None = None
    memory_total: int | None = None
    utilisation: float | None = None
    """Percent of the last sample period (up to a second) in which a kernel ran."""
    power: float | None = None
    """Watts."""
    temperature: float | None = None
    """Degrees Celsius."""
    energy: float | None = None
    """Joules since the driver was loaded (Volta and newer)."""
    process_bytes: dict[int, int] = field(default_factory=dict, hash=False)
    """Bytes by process id, where the driver says; in a container the ids are those of the host."""

    def memory_of(self, pids: frozenset[int]) -> int | None:
        """Bytes of these processes; None where the driver names none of them."""
        found = [size for pid, size in self.process_bytes.items() if pid in pids]
        return sum(found) if found else None


@dataclass
class _Tree:
    """A process that is watched, and what was seen of it last."""

    root: psutil.Process
    members: list[psutil.Process]
    listed: float
    cpu_seconds: dict[int, float] = field(default_factory=dict)
    sampled: float | None = None


class Telemetry:
    """A sampler. Use one from one thread at a time; NVML is initialised at the first look at the GPUs."""

    def __init__(self) -> None:
        self._trees: dict[int, _Tree] = {}
        self._nvml: Nvml | None = None
        self._retry_at: float | None = 0.0
        self._machine_seen = False

    def sample_process(self, pid: int) -> ProcessSample | None:
        """The process and its children now; None once it has ended, or where it may not be looked at."""
        try:
            tree = self._tree(pid)
            return self._sample_tree(pid, tree)
        except (psutil.Error, OSError, ValueError):
            self._trees.pop(pid, None)
            return None

    def members(self, pid: int) -> frozenset[int]:
        """Process ids of the tree as it was last sampled, for `GpuSample.memory_of`."""
        tree = self._trees.get(pid)
        return frozenset(one.pid for one in tree.members) if tree else frozenset({pid})

    def sample_machine(self) -> MachineSample:
        """CPU and memory of the machine now."""
        memory = psutil.virtual_memory()
        percent = psutil.cpu_percent(None)
        first, self._machine_seen = not self._machine_seen, True
        return MachineSample(None if first else percent, int(memory.total), int(memory.available))

    def sample_devices(self) -> tuple[GpuSample, ...]:
        """Every NVIDIA GPU now; empty where there is none or its driver does not answer."""
        nvml = self._library()
        if nvml is None:
            return ()
        return tuple(_sample_gpu(nvml, handle, index) for index, handle in enumerate(nvml.devices()))

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

    def _tree(self, pid: int) -> _Tree:
        now = time.monotonic()
        tree = self._trees.get(pid)
        if tree is None or not tree.root.is_running():
            root = psutil.Process(pid)
            tree = self._trees[pid] = _Tree(root, [root], listed=-TREE_SECONDS)
        if now - tree.listed >= TREE_SECONDS:
            tree.members = [tree.root, *tree.root.children(recursive=True)]
            tree.listed = now
        return tree

    def _sample_tree(self, pid: int, tree: _Tree) -> ProcessSample:
        now, rss, spent = time.monotonic(), 0, {}
        for member in tree.members:
            try:
                with member.oneshot():
                    rss += member.memory_info().rss
                    times = member.cpu_times()
                spent[member.pid] = times.user + times.system
            except psutil.Error:
                if member is tree.root:
                    raise
        if tree.root.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(pid)
        percent = _percent(tree, spent, now)
        tree.cpu_seconds, tree.sampled = spent, now
        return ProcessSample(pid, rss, percent, len(spent))


def _percent(tree: _Tree, spent: dict[int, float], now: float) -> float | None:
    if tree.sampled is None or now <= tree.sampled:
        return None
    # A child that is seen for the first time spent its seconds over an unknown time: they would be a spike.
    used = sum(max(0.0, seconds - tree.cpu_seconds.get(pid, seconds)) for pid, seconds in spent.items())
    return used / (now - tree.sampled) * 100


def _sample_gpu(nvml: Nvml, handle: Any, index: int) -> GpuSample:
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    rates = nvml.ask("nvmlDeviceGetUtilizationRates", handle)
    milliwatts = nvml.ask("nvmlDeviceGetPowerUsage", handle)
    temperature = nvml.ask("nvmlDeviceGetTemperature", handle, NVML_TEMPERATURE_GPU)
    millijoules = nvml.ask("nvmlDeviceGetTotalEnergyConsumption", handle)
    processes = nvml.ask("nvmlDeviceGetComputeRunningProcesses", handle) or []
    return GpuSample(
        index=index,
        name=nvml.text("nvmlDeviceGetName", handle) or "NVIDIA GPU",
        uuid=nvml.text("nvmlDeviceGetUUID", handle),
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        utilisation=None if rates is None else float(rates.gpu),
        power=None if milliwatts is None else milliwatts / 1000,
        temperature=None if temperature is None else float(temperature),
        energy=None if millijoules is None else millijoules / 1000,
        process_bytes={int(one.pid): int(one.usedGpuMemory) for one in processes if one.usedGpuMemory},
    )

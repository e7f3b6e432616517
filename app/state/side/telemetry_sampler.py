"""Looks at the processes and devices in a thread, twice a second, and makes the snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.state.prepare.bandwidth_cache import key, read_bandwidths
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.take_snapshot import Seen, side_snapshot
from engines.measure.gpu import GpuSample, GpuSampler
from engines.measure.telemetry import Telemetry
from engines.plan.hardware.hardware import Device

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class _Sample:
    resident: Mapping[int, int] = field(default_factory=dict)
    """Bytes by process id, children included."""
    on_gpus: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """By process id the same, children included, by the index of the GPU."""
    gpus: tuple[GpuSample, ...] = ()
    memory_total: int = 0
    memory_used: int = 0
    cpu_percent: float | None = None
    bandwidths: Mapping[str, float] = field(default_factory=dict)
    """By a device's name, where it was measured."""


class TelemetrySampler:
    """Keeps the newest sample; `snapshot` never waits for one."""

    def __init__(
        self, sides: Callable[[], tuple[Side, Side]], devices: Callable[[], tuple[Device, ...]]
    ) -> None:
        self._sides, self._devices = sides, devices
        self._telemetry, self._gpus = Telemetry(), GpuSampler()
        self._sample = _Sample()
        self._started = time.monotonic()

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            pids = [side.process.pid for side in self._sides() if side.process]
            self._sample = await asyncio.to_thread(self._look, pids, self._devices())
            await asyncio.sleep(SAMPLE_SECONDS)

    def snapshot(self) -> Snapshot:
        """Everything that panels show, now."""
        now = time.monotonic() - self._started
        for side in self._sides():
            side.rates.add(now, side.rate())
        left, right = (side_snapshot(side, now, self._seen(side)) for side in self._sides())
        sample = self._sample
        return Snapshot(
            now, left, right, sample.memory_total, sample.memory_used, sample.cpu_percent, sample.gpus
        )

    def _look(self, pids: list[int], devices: tuple[Device, ...]) -> _Sample:
        machine, gpus = self._telemetry.sample_machine(), self._gpus.sample()
        found = {pid: self._telemetry.sample_process(pid) for pid in pids}
        members = {pid: self._telemetry.members(pid) for pid in pids}
        on_gpus = {
            pid: {gpu.index: size for gpu in gpus if (size := gpu.memory_of(family)) is not None}
            for pid, family in members.items()
        }
        known = read_bandwidths()
        return _Sample(
            {pid: one.resident_bytes for pid, one in found.items() if one},
            on_gpus,
            gpus,
            machine.memory_total,
            machine.memory_used,
            machine.cpu_percent,
            {device.name: known[key(device)] for device in devices if key(device) in known},
        )

    def _seen(self, side: Side) -> Seen:
        pid = side.process.pid if side.process else 0
        device = side.spec.device if side.spec else ""
        sample = self._sample
        return Seen(sample.resident.get(pid), sample.on_gpus.get(pid, {}), sample.bandwidths.get(device))

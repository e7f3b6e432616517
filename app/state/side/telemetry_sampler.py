"""Samples processes and devices in a thread, twice a second, and makes the snapshots that panels draw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.state.prepare.bandwidth_cache import key, read_bandwidths
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.take_snapshot import ProcessMeasures, side_snapshot
from engines.measure.gpu import GpuSample, GpuSampler
from engines.measure.telemetry import Telemetry
from engines.plan.hardware.hardware import Device

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class _Sample:
    resident: Mapping[int, int] = field(default_factory=dict)
    """Bytes by process id, children included."""
    on_gpus: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """Bytes by process id, children included, and by the index of the GPU."""
    gpus: tuple[GpuSample, ...] = ()
    memory_total: int = 0
    memory_used: int = 0
    cpu_percent: float | None = None
    bandwidths: Mapping[str, float] = field(default_factory=dict)
    """Measured bytes per second, by the name of the device."""


class TelemetrySampler:
    """Keeps the newest sample; `snapshot` never waits for one."""

    def __init__(
        self,
        sides: Callable[[], tuple[Side, Side]],
        devices: Callable[[], tuple[Device, ...]],
        on_error: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """Create it.

        Args:
            on_error: called once for each message of an error.
        """
        self._sides, self._devices, self._on_error = sides, devices, on_error
        self._telemetry, self._gpus = Telemetry(), GpuSampler()
        self._sample = _Sample()
        self._started = time.monotonic()
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Sample until cancelled. A sample that fails is reported, and the next one is taken."""
        while True:
            pids = [side.pid for side in self._sides() if side.pid]
            try:
                self._sample = await asyncio.to_thread(self._look, pids, self._devices())
            except Exception as error:  # drivers and /proc fail in many ways; panels keep the last sample
                self.report(error)
            await asyncio.sleep(SAMPLE_SECONDS)

    def snapshot(self) -> Snapshot:
        """Return everything that panels show, now."""
        now = time.monotonic() - self._started
        for side in self._sides():
            side.rates.add(now, side.rate())
        left, right = (side_snapshot(side, now, self._measures(side)) for side in self._sides())
        sample = self._sample
        return Snapshot(
            now, left, right, sample.memory_total, sample.memory_used, sample.cpu_percent, sample.gpus
        )

    def report(self, error: Exception) -> None:
        """Report an error of a sample or a snapshot, once for each message: both are taken all the time."""
        if (message := repr(error)) not in self._reported:
            self._reported.add(message)
            self._on_error(error)

    def _look(self, pids: list[int], devices: tuple[Device, ...]) -> _Sample:
        machine, gpus = self._telemetry.sample_machine(), self._gpus.sample()
        found = {pid: self._telemetry.sample_process(pid) for pid in pids}
        trees = {pid: self._telemetry.members(pid) for pid in pids}
        on_gpus = {
            pid: {gpu.index: size for gpu in gpus if (size := gpu.memory_of(tree)) is not None}
            for pid, tree in trees.items()
        }
        known = read_bandwidths()
        return _Sample(
            resident={pid: one.resident_bytes for pid, one in found.items() if one},
            on_gpus=on_gpus,
            gpus=gpus,
            memory_total=machine.memory_total,
            memory_used=machine.memory_used,
            cpu_percent=machine.cpu_percent,
            bandwidths={device.name: known[key(device)] for device in devices if key(device) in known},
        )

    def _measures(self, side: Side) -> ProcessMeasures:
        pid = side.pid or 0
        device = side.spec.device if side.spec else ""
        sample = self._sample
        return ProcessMeasures(
            sample.resident.get(pid), sample.on_gpus.get(pid, {}), sample.bandwidths.get(device)
        )

"""Samples processes and devices in a thread, twice a second, and makes the snapshots that panels draw."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.state.prepare.bandwidth_cache import key, read_bandwidths
from app.state.side.phase import ANSWERING, OPENING
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.take_snapshot import ProcessMeasures, side_snapshot
from engines.measure.gpu import GpuSample, GpuSampler
from engines.measure.other_programs import OtherPrograms
from engines.measure.telemetry import Telemetry
from engines.plan.hardware.hardware import Device

SAMPLE_SECONDS = 0.5
IDLE_SAMPLES = 3
"""Samples in a row without work of our engines, after which a GPU that is busy is so for other programs: its
utilisation is that of the last second."""


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
        self._telemetry, self._gpus, self._others = Telemetry(), GpuSampler(), OtherPrograms()
        self._sample = _Sample()
        self._idle = 0
        """Samples in a row without work of our engines."""
        self._used_by_others: dict[str, float] = {}
        """Percent of each GPU, by its device, when our engines last were idle."""
        self._started = time.monotonic()
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Sample until cancelled. A sample that fails is reported, and the next one is taken."""
        while True:
            pids = [side.pid for side in self._sides() if side.pid]
            try:
                self._sample = await asyncio.to_thread(self._look, pids, self._devices())
                self._watch_idle_gpus()
            except Exception as error:  # drivers and /proc fail in many ways; panels keep the last sample
                self.report(error)
            await asyncio.sleep(SAMPLE_SECONDS)

    def snapshot(self) -> Snapshot:
        """Return everything that panels show, now."""
        now = time.monotonic() - self._started
        for side in self._sides():
            side.rates.add(now, side.sample_rate())
        left, right = (side_snapshot(side, now, self._measures(side)) for side in self._sides())
        sample = self._sample
        return Snapshot(
            now, left, right, sample.memory_total, sample.memory_used, sample.cpu_percent, sample.gpus
        )

    def busy_percent(self, device: str, since: float) -> float | None:
        """Return what other programs used of the processor, or of the GPU if that is more.

        Args:
            device: `cpu` or `cuda:N`.
            since: monotonic seconds; of a GPU it is what they used before, while our engines were idle.

        Returns:
            Percent; None before it was measured.
        """
        found = self._others.percent(since), self._used_by_others.get(device)
        most = max((percent for percent in found if percent is not None), default=None)
        return None if most is None else min(100.0, most)  # two clocks: slightly more on a full processor

    def _watch_idle_gpus(self) -> None:
        works = any(side.phase in ANSWERING | OPENING for side in self._sides())
        self._idle = 0 if works else self._idle + 1
        if self._idle >= IDLE_SAMPLES:
            self._used_by_others = {
                gpu.device: gpu.utilisation for gpu in self._sample.gpus if gpu.utilisation is not None
            }

    def report(self, error: Exception) -> None:
        """Report an error of a sample or a snapshot, once for each message: both are taken all the time."""
        if (message := repr(error)) not in self._reported:
            self._reported.add(message)
            self._on_error(error)

    def _look(self, pids: list[int], devices: tuple[Device, ...]) -> _Sample:
        machine, gpus = self._telemetry.sample_machine(), self._gpus.sample()
        self._others.read(self._telemetry.cpu_seconds(os.getpid()))
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

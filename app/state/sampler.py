"""Looks at the processes and devices in a thread, twice a second, and makes the snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.state.series import Snapshot
from app.state.side import Side
from engines.measure.telemetry import GpuSample, ProcessSample, Telemetry

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class _Sample:
    processes: Mapping[int, ProcessSample | None] = field(default_factory=dict)
    gpus: tuple[GpuSample, ...] = ()
    memory_total: int = 0
    memory_used: int = 0
    cpu_percent: float | None = None


class Sampler:
    """Keeps the newest sample; `snapshot` never waits for one."""

    def __init__(self, sides: Callable[[], tuple[Side, Side]]) -> None:
        self._sides = sides
        self._telemetry = Telemetry()
        self._sample = _Sample()
        self._started = time.monotonic()

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            pids = [side.process.pid for side in self._sides() if side.process]
            self._sample = await asyncio.to_thread(self._look, pids)
            await asyncio.sleep(SAMPLE_SECONDS)

    def snapshot(self) -> Snapshot:
        """Everything that panels show, now."""
        now = time.monotonic() - self._started
        for side in self._sides():
            side.rates.add(now, side.rate())
        left, right = (
            side.snapshot(now, self._resident(side), self._on_gpus(side)) for side in self._sides()
        )
        sample = self._sample
        return Snapshot(
            now, left, right, sample.memory_total, sample.memory_used, sample.cpu_percent, sample.gpus
        )

    def _look(self, pids: list[int]) -> _Sample:
        machine = self._telemetry.sample_machine()
        return _Sample(
            {pid: self._telemetry.sample_process(pid) for pid in pids},
            self._telemetry.sample_devices(),
            machine.memory_total,
            machine.memory_used,
            machine.cpu_percent,
        )

    def _resident(self, side: Side) -> int | None:
        process = self._sample.processes.get(side.process.pid) if side.process else None
        return process.resident_bytes if process else None

    def _on_gpus(self, side: Side) -> int | None:
        if side.process is None:
            return None
        found = [
            used for gpu in self._sample.gpus if (used := gpu.process_bytes.get(side.process.pid)) is not None
        ]
        return sum(found) if found else None

"""Samples go on after one that failed, and tell what other programs use."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from app.state.side import telemetry_sampler
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.telemetry_sampler import TelemetrySampler
from engines.measure.telemetry import MachineSample, Telemetry
from engines.plan.hardware.hardware import cpu
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.worker.helpers import eventually


async def test_a_sample_that_fails_is_reported_and_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry_sampler, "SAMPLE_SECONDS", 0.01)
    failures = [RuntimeError("driver reset"), RuntimeError("driver reset"), OSError("no /proc")]
    errors: list[Exception] = []

    def sample(_: Telemetry) -> MachineSample:
        if failures:
            raise failures.pop(0)
        return MachineSample(cpu_percent=1.0, memory_total=7, memory_available=2)

    monkeypatch.setattr(Telemetry, "sample_machine", sample)
    sides = Side("left"), Side("right")
    sampler = TelemetrySampler(lambda: sides, lambda: (cpu(),), errors.append)
    task = asyncio.create_task(sampler.run())
    assert await eventually(lambda: sampler.snapshot().memory_total == 7, 60)
    assert [str(error) for error in errors] == ["driver reset", "no /proc"]
    task.cancel()


async def test_a_gpu_is_busy_for_others_if_it_is_while_our_engines_are_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(telemetry_sampler, "SAMPLE_SECONDS", 0.01)
    gpu = Gpu(utilisation=100)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml((gpu,)))
    sides = Side("left"), Side("right")
    sampler = TelemetrySampler(lambda: sides, lambda: (cpu(),))

    def utilisation() -> float | None:
        gpus = sampler.snapshot().gpus
        return gpus[0].utilisation if gpus else None

    task = asyncio.create_task(sampler.run())
    assert await eventually(lambda: sampler.busy_percent("cuda:0", time.monotonic()) == 100)
    sides[0].enter(Phase.DECODE)
    gpu.utilisation = 7
    assert await eventually(lambda: utilisation() == 7)
    assert sampler.busy_percent("cuda:0", time.monotonic()) == 100, "our engine uses it now"
    sides[0].enter(Phase.READY)
    assert await eventually(lambda: (sampler.busy_percent("cuda:0", time.monotonic()) or 0) < 100)
    task.cancel()


def test_an_answer_between_two_samples_is_drawn_at_its_true_height() -> None:
    """A thousand tokens in 0.2 s: not a thousand in the second before the sample, and not nothing."""
    sides = left, _ = Side("left"), Side("right")
    sampler = TelemetrySampler(lambda: sides, lambda: (cpu(),))
    assert sampler.snapshot().left.rates[-1][1] == 0
    left.enter(Phase.DECODE)
    begun = time.monotonic_ns() - 200_000_000
    left.add_tokens([begun + 200_000 * number for number in range(1000)])
    left.enter(Phase.READY)
    assert sampler.snapshot().left.rates[-1][1] == pytest.approx(5000)
    assert sampler.snapshot().left.rates[-1][1] == 0

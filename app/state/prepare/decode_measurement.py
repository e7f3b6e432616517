"""Measure how fast an engine of the CPU decodes the demo, see `engine_speeds`."""

from __future__ import annotations

import asyncio
from statistics import median

from app.state.prepare.engine_speeds import EngineSpeed, speed_name, speeds_file
from app.state.settings import paths
from app.state.settings.number_file import add_number
from engines.build.prepare import OnStep
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.engine import opened
from engines.compare.speed import measure_speed
from engines.demo import CHECKPOINT
from engines.environments.start import start_worker
from engines.errors import EngineError
from engines.plan.hardware.hardware import Device
from engines.worker.log_files import log_file


async def measure_engine(cpu: Device, engine: EngineSpeed, store: EngineStore, on_step: OnStep) -> float:
    """Measure the decode speed of an engine, building it if need be; save it, and return it in tok/s.

    Raises:
        EngineError: it cannot be built, or does not answer.
        OSError: the store or the log cannot be written.
    """
    spec = EngineSpec(str(CHECKPOINT), engine.backend, engine.precision)
    log = log_file(paths.log_folder(), f"speed-{engine.backend}")
    async with opened(spec, store, start_worker, log, on_step) as running:
        rates = (await measure_speed(running)).rates
    if not rates:
        raise EngineError("engine-failed", f"{engine.title} gave no tokens.", "Its log may say why.")
    await asyncio.to_thread(
        add_number, speeds_file(), speed_name(cpu, engine.backend, engine.precision), median(rates)
    )
    return median(rates)

"""Time to open a built engine: the app compared with the library alone."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

from app.engine_lifecycle import EngineLifecycle
from app.state.side.side import Side
from tests.benchmarks.environment import PROJECT, BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.in_app import engine_directory
from tests.benchmarks.quiet import QuietRounds
from tests.benchmarks.sides import generate, open_engine
from tests.benchmarks.table import Budget, Result, spread

METHOD = """\
The app: find the engine in the store, start the worker, load tokenizer and engine, warm up, until the side is
ready. The library alone: a script that imports openvino_genai, opens a ContinuousBatchingPipeline on the same
files with the same properties and generates {warm} tokens, including the start of the script. Alternately,
{rounds} rounds after one warm-up round; the engine's files are compared before and after to detect a
rebuild."""
LIMIT_SECONDS = 0.5
ENGINE = "openvino:int8"
WARM_UP_TOKENS = 4
SCRIPT = """
import os, sys
import numpy, openvino, openvino_genai as genai
scheduler = genai.SchedulerConfig()
scheduler.num_kv_blocks = 66
scheduler.enable_prefix_caching = True
properties = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "u8"}
pipeline = genai.ContinuousBatchingPipeline(sys.argv[1], scheduler, "CPU", properties)
config = genai.GenerationConfig()
config.max_new_tokens, config.ignore_eos = int(sys.argv[2]), True
config.set_eos_token_id(0)
pipeline.add_request(0, openvino.Tensor(numpy.array([[5]], numpy.int64)), config)
while pipeline.has_non_finished_requests():
    pipeline.step()
os._exit(0)
"""


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure with the demo checkpoint and the shape that the budgets are for."""
    rounds = bench.sizes.rounds
    columns = ("checkpoint, engine", "app s [range]", "library alone s [range]", "difference s [range]")
    result = Result("reopen", METHOD.format(rounds=rounds, warm=WARM_UP_TOKENS), columns)
    for name in bench.checkpoints:
        directory = Path(engine_directory(bench, ENGINE, name))
        before = _files(directory)
        measured = asyncio.run(_rounds(bench, name, directory))
        by_app, alone = [app for app, _ in measured.best], [bare for _, bare in measured.best]
        result.notes.append(f"{name}: {measured.summary()}")
        if _files(directory) != before:
            raise BenchmarkError(f"{name}: the engine's files changed, so it was rebuilt.")
        more = [a - b for a, b in zip(by_app, alone, strict=True)]
        seconds = (spread(values, "{:.2f}".format) for values in (by_app, alone, more))
        result.rows.append((f"{name} {ENGINE}", *seconds))
        result.figures[name] = {"app s": by_app, "library s": alone}
        result.budgets.append(
            Budget(f"reopen, app − library, {name}", statistics.median(more), LIMIT_SECONDS, " s")
        )
    return result


async def _rounds(
    bench: BenchmarkEnvironment, name: str, directory: Path
) -> QuietRounds[tuple[float, float]]:
    rounds = QuietRounds[tuple[float, float]](bench.sizes)
    for _ in rounds:
        app_seconds, library_seconds = (
            await _app(bench, name),
            await asyncio.to_thread(_library, directory),
        )
        rounds.keep((app_seconds, library_seconds))
    return rounds


async def _app(bench: BenchmarkEnvironment, name: str) -> float:
    engine = EngineLifecycle(Side("reopen"), bench.store, bench.logs)
    started = time.monotonic()
    try:
        prepared = await open_engine(engine, bench, ENGINE, name)
        seconds = time.monotonic() - started
        if not prepared.reused:
            raise BenchmarkError(f"{name}: the engine was not reused.")
        await generate(engine, [5], 1)
    finally:
        await engine.close()
    return seconds


def _library(directory: Path) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(directory), str(WARM_UP_TOKENS)],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise BenchmarkError(f"The bare script ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def _files(directory: Path) -> dict[str, tuple[int, int]]:
    """Return inode and modification time of each file: a rebuild creates new files."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in directory.iterdir()}

"""The backend in the real worker process: built, loaded, asked, stopped, scored, and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.onnxruntime.backend import OnnxRuntimeBackend
from engines.build.prepare import prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.engines.worker.helpers import LONG, answer, generate, load

PROMPT = "Tell me a story about a fox."
SAMPLING = protocol.Sampling(max_tokens=32, ignore_eos=True)


def spec(checkpoint: Path, precision: str = "int8") -> EngineSpec:
    return EngineSpec(str(checkpoint), "onnxruntime", precision, context=512)


@contextlib.asynccontextmanager
async def worker(log: Path) -> AsyncIterator[EngineProcess]:
    process = await EngineProcess.start("onnxruntime", log)
    try:
        yield process
    finally:
        await process.kill()


@contextlib.asynccontextmanager
async def opened(checkpoint: Path, root: Path, precision: str = "int8") -> AsyncIterator[EngineProcess]:
    """A worker with an engine that another one built."""
    store = EngineStore(root / "store")
    async with worker(root / "build.log") as builder:
        engine = await prepare(spec(checkpoint, precision), store, builder, lambda _: None)
    async with worker(root / "log") as process:
        await load(process, engine.spec, engine.directory)
        yield process


@pytest.fixture(scope="module")
def stored(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    """A store with one engine, of the tiny checkpoint."""
    folder = tmp_path_factory.mktemp("stored")
    store = EngineStore(folder / "store")

    async def build() -> None:
        async with worker(folder / "log") as builder:
            await prepare(spec(tiny_llama), store, builder, lambda _: None)

    asyncio.run(build())
    return store


def done(events: list[protocol.Event]) -> protocol.Done:
    assert isinstance(events[-1], protocol.Done), events[-1]
    return events[-1]


async def stopped_after(process: EngineProcess, chunks: int) -> tuple[int, protocol.Event]:
    """Stop an answer after `chunks` chunks; returns how many were received, and the last event."""
    command, count = generate(process, PROMPT, LONG), 0
    async with contextlib.aclosing(process.run(command)) as events:
        async for event in events:
            last = event
            if isinstance(event, protocol.Chunk):
                count += 1
                if count == chunks:
                    await process.stop(command.id)
    return count, last


async def test_an_engine_answers_reuses_the_prefix_stops_and_scores(tmp_path: Path) -> None:
    async with opened(CHECKPOINT, tmp_path) as process:
        events = await answer(process, PROMPT, SAMPLING)
        first = done(events)
        [prompt] = [event for event in events if isinstance(event, protocol.Prompt)]
        assert (first.reason, len(first.token_ids), first.cached) == ("length", 32, 0)
        usage = [event.usage for event in events if isinstance(event, protocol.KV)][-1]
        assert usage.tokens == prompt.tokens + 31
        assert usage.bytes_used == usage.tokens * 8 * 2 * 128 * 4  # layers, keys and values, fp32
        again = done(await answer(process, PROMPT, SAMPLING))
        assert again.token_ids == first.token_ids
        assert again.cached == prompt.tokens - 1
        _, stopped = await asyncio.wait_for(stopped_after(process, 3), 100)
        assert isinstance(stopped, protocol.Done)
        assert (stopped.reason, stopped.token_ids[:3]) == ("stopped", first.token_ids[:3])
        scored = await process.ask(protocol.Score(process.next_id(), tuple(range(5, 40))))
        assert isinstance(scored, protocol.Scored)
        assert len(scored.logprobs) == 34
        assert done(await answer(process, PROMPT, SAMPLING)).token_ids == first.token_ids


async def test_a_second_worker_reuses_the_engine_and_says_that_the_context_is_full(
    stored: EngineStore, tiny_llama: Path, tmp_path: Path
) -> None:
    async with worker(tmp_path / "log") as process:
        engine = await prepare(spec(tiny_llama), stored, process, lambda _: None)
        assert engine.reused
        await load(process, engine.spec, engine.directory)
        prompt = tuple(range(5, 255)) * 2
        ended = done(await answer(process, prompt, LONG))
        assert (ended.reason, len(ended.token_ids)) == ("context", 12)


@pytest.mark.parametrize("limit", [100_000, 300_000])
async def test_a_full_disk_is_an_error(limit: int, tiny_llama: Path, tmp_path: Path) -> None:
    async with worker(tmp_path / "log") as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(EngineError) as caught:
            await prepare(spec(tiny_llama, "fp32"), EngineStore(tmp_path / "store"), process, lambda _: None)
    assert caught.value.code == "disk-full"
    assert not EngineStore(tmp_path / "store").engines()


async def test_a_damaged_engine_is_an_error_of_the_load(
    stored: EngineStore, tiny_llama: Path, tmp_path: Path
) -> None:
    """Files cut short, and named pipes in their places; the worker takes the next command."""
    [built] = stored.engines()
    async with worker(tmp_path / "log") as process:
        for part in ("model.onnx", "model.onnx.data"):
            folder = Path(shutil.copytree(built.directory, tmp_path / part))
            file = folder / part
            os.truncate(file, file.stat().st_size // 2)
            command = protocol.Load(process.next_id(), spec(tiny_llama).to_json(), str(folder))
            error = await process.ask(command)
            assert isinstance(error, protocol.Error)
            assert error.code == "load-failed"
            assert error.hint == "Build the engine again."
            file.unlink()
            os.mkfifo(file)  # opening it would wait for ever
            refused = await asyncio.wait_for(process.ask(replace(command, id=process.next_id())), 100)
            assert isinstance(refused, protocol.Error)
            assert "named pipe" in refused.message
        assert process.alive


def test_probe_imports_no_libraries() -> None:
    script = """
import sys
from engines.backends.onnxruntime.backend import OnnxRuntimeBackend
print(*OnnxRuntimeBackend.probe().versions, OnnxRuntimeBackend.probe().available)
print(*{name.split(".")[0] for name in sys.modules} & {"onnx", "onnxruntime", "numpy", "torch"})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "onnx onnxruntime True\n\n"


def test_a_missing_package_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.backends.onnxruntime.backend.PACKAGES", ("onnx", "no-such-package"))
    found = OnnxRuntimeBackend.probe()
    assert not found.available
    assert found.reason == "no-such-package not installed."
    assert found.hint == "pip install onnx no-such-package"

"""The backend in the real worker process: built, loaded, asked, stopped, scored, killed, and its errors."""

from __future__ import annotations

import asyncio
import os
import resource
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engines.build.prepare import prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.engines.worker.helpers import LONG, answer, eventually, generate, load

PROMPT = "Tell me a story about a fox."
SAMPLING = protocol.Sampling(max_tokens=32, ignore_eos=True)
SPEC = EngineSpec(str(CHECKPOINT), "llama-cpp", "q8_0", context=512)


async def test_an_engine_is_built_answers_stops_scores_and_is_killed(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    builder = await EngineProcess.start("llama-cpp", tmp_path / "build.log")
    engine = await prepare(SPEC, store, builder, lambda _: None)
    process = await EngineProcess.start("llama-cpp", tmp_path / "log")
    try:
        assert (await prepare(SPEC, store, process, lambda _: None)).reused
        ready = await load(process, engine.spec, engine.directory)
        assert (ready.context, ready.kv.capacity_tokens, ready.ignored_sampling) == (512, 512, ())
        events = await answer(process, PROMPT, SAMPLING)
        first = events[-1]
        assert isinstance(first, protocol.Done), first
        [prompt] = [event for event in events if isinstance(event, protocol.Prompt)]
        assert (first.reason, len(first.token_ids)) == ("length", 32)
        usage = [event.usage for event in events if isinstance(event, protocol.KV)]
        assert usage[-1].tokens == prompt.tokens + 31
        assert usage[-1].bytes_used == usage[-1].tokens * 8 * 2 * 128 * 2  # layers, keys and values, f16
        again = (await answer(process, PROMPT, SAMPLING))[-1]
        assert isinstance(again, protocol.Done)
        assert (again.token_ids, again.cached) == (first.token_ids, prompt.tokens - 1)
        stopped = await asyncio.wait_for(stopped_after(process, 3), 100)
        assert isinstance(stopped, protocol.Done)
        assert (stopped.reason, stopped.token_ids[:3]) == ("stopped", first.token_ids[:3])
        scored = await process.ask(protocol.Score(process.next_id(), tuple(range(5, 20)), top_k=2))
        assert isinstance(scored, protocol.Scored)
        assert (len(scored.logprobs), len(scored.top_ids[0])) == (14, 2)
        await damaged(process, engine.spec, Path(engine.directory))
    finally:
        await process.kill()
    assert await eventually(lambda: not psutil.pid_exists(process.pid))


async def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    process = await EngineProcess.start("llama-cpp", tmp_path / "log")
    try:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
        with pytest.raises(EngineError) as full:
            await prepare(SPEC, store, process, lambda _: None)
    finally:
        await process.kill()
    assert full.value.code == "disk-full"
    assert not store.engines()


async def stopped_after(process: EngineProcess, chunks: int) -> protocol.Event:
    """Stop an answer after `chunks` chunks, and return its last event."""
    command, count = generate(process, PROMPT, LONG), 0
    async for event in process.run(command):
        last = event
        count += isinstance(event, protocol.Chunk)
        if count == chunks:
            await process.stop(command.id)
            count += 1
    return last


async def damaged(process: EngineProcess, spec: EngineSpec, directory: Path) -> None:
    """A file that ends early is an error of the load, and the worker goes on."""
    os.truncate(directory / "model.gguf", 1_000_000)
    command = protocol.Load(process.next_id(), spec.to_json(), str(directory))
    error = await process.ask(command)
    assert isinstance(error, protocol.Error)
    assert error.code == "load-failed"
    assert process.alive
    (directory / "model.gguf").unlink()
    missing = await process.ask(replace(command, id=process.next_id()))
    assert isinstance(missing, protocol.Error)

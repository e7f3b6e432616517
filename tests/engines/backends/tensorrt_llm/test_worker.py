"""The backend in a worker with a separate interpreter, with the double and the real demo checkpoint."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.measure.load import LoadRecord
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.worker.helpers import answer, is_gone, last_error, session_is_empty

SHORT = protocol.Sampling(max_tokens=24)
LONG = protocol.Sampling(max_tokens=400, ignore_eos=True)
IDS = (1, 20, 30, 40, 50)


def spec(precision: str = "bf16", **fields: object) -> EngineSpec:
    """Return a spec of the demo checkpoint on a GPU; the double needs none."""
    return EngineSpec(str(CHECKPOINT), "tensorrt-llm", precision, "cuda:0", context=512, **fields)  # type: ignore[arg-type]


@asynccontextmanager
async def worker(python: str, log: Path) -> AsyncGenerator[EngineProcess, None]:
    """Start a worker, and kill it at the end."""
    process = await fork_worker("tensorrt-llm", log, python)
    try:
        yield process
    finally:
        await process.kill()


def views_of(pid: int) -> list[Path]:
    """Return the temporary checkpoint folders of a process."""
    return [*Path(gettempdir()).glob(f"trt-playground-model-{pid}-*")]


async def load(process: EngineProcess, wanted: EngineSpec, directory: str = "") -> protocol.Event:
    """Load an engine and return the last event."""
    return await process.ask(protocol.Load(process.next_id(), wanted.to_json(), directory))


def of_type(events: list[protocol.Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_answers_and_scores_equal_pytorch(python: str, log: Path) -> None:
    async with worker(python, log) as process:
        command = protocol.Load(process.next_id(), spec().to_json())
        *earlier, ready = [event async for event in process.run(command)]
        assert isinstance(ready, protocol.Ready), ready
        stages = [event.name for event in of_type(earlier, protocol.Stage)]
        assert stages == ["import", "load", "autotune", "CUDA graphs", "warm up"]
        assert ready.context == 512
        assert ready.kv.total_blocks == 512 // 32 + 2
        events = await answer(process, IDS, SHORT)
        done = events[-1]
        assert isinstance(done, protocol.Done)
        usages = [event.usage for event in of_type(events, protocol.KV)]
        assert usages[-1].used_blocks == 1
        assert usages[-1].block_tokens == 32
        scored = await process.ask(protocol.Score(process.next_id(), (*IDS, *done.token_ids), 3))
        assert isinstance(scored, protocol.Scored), scored
        again = await answer(process, (*IDS, *done.token_ids * 3), SHORT)
        await process.close()
        assert session_is_empty(process.pid)
    async with worker_of_pytorch(log) as process:
        reference = (await answer(process, IDS, SHORT))[-1]
        assert isinstance(reference, protocol.Done)
        assert reference.token_ids == done.token_ids
        theirs = await process.ask(protocol.Score(process.next_id(), (*IDS, *done.token_ids), 3))
        assert isinstance(theirs, protocol.Scored)
        assert scored.logprobs == pytest.approx(theirs.logprobs, abs=1e-2)
    assert isinstance(again[-1], protocol.Done)


async def test_weights_are_split_over_the_visible_gpus(
    python: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the device of the spec, among those visible to the app."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3,1")
    two = {"tensor_parallel_size": "2"}
    async with worker(python, log) as process:
        ready = await load(process, replace(spec(options=two), device="cuda:1"))
        assert isinstance(ready, protocol.Ready), ready
        assert "visible GPUs: 3,1" in await asyncio.to_thread(log.read_text)
    async with worker(python, log) as process:
        error = await load(process, spec(options={"tensor_parallel_size": "4"}))
        assert isinstance(error, protocol.Error)
        assert error.code == "too-few-gpus"
        assert "--gpus" in error.hint


@asynccontextmanager
async def worker_of_pytorch(log: Path) -> AsyncGenerator[EngineProcess, None]:
    """Start a worker with PyTorch fp32."""
    process = await fork_worker("pytorch", log)
    try:
        wanted = EngineSpec(str(CHECKPOINT), "pytorch", "fp32", context=512)
        event = await process.ask(protocol.Load(process.next_id(), wanted.to_json()))
        assert isinstance(event, protocol.Ready), event
        yield process
    finally:
        await process.kill()


async def test_stop_aborts_the_request(without_engines: str, log: Path) -> None:
    async with worker(without_engines, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        identity = process.next_id()
        last: protocol.Event | None = None
        async for event in process.run(protocol.Generate(identity, (), IDS, LONG)):
            if isinstance(event, protocol.Chunk):
                await process.stop(identity)
            last = event
        assert isinstance(last, protocol.Done)
        assert last.reason == "stopped"
        assert 0 < len(last.token_ids) < LONG.max_tokens
        assert isinstance((await answer(process, IDS, SHORT))[-1], protocol.Done)


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        ("libmpi", "no-mpi", "libopenmpi-dev"),
        ("no-slots", "no-mpi", "oversubscribe"),
        ("out-of-memory", "out-of-memory", "smaller precision"),
        ("insufficient-memory", "out-of-memory", "smaller precision"),
        ("dies-at-load", "engine-failed", "env check"),
        ("hang-at-import", "import-hung", "env check"),
    ],
)
async def test_failures_of_the_start_are_translated(
    failure: str, code: str, words: str, with_engines: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", failure)
    monkeypatch.setenv("TRT_PLAYGROUND_IMPORT_SECONDS", "3" if failure == "hang-at-import" else "60")
    async with worker(with_engines, log) as process:
        event = await load(process, spec())
        assert isinstance(event, protocol.Error)
        assert event.code == code
        assert words in event.hint
        assert not views_of(process.pid)


async def test_death_in_the_middle_of_an_answer(
    without_engines: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "die-mid-answer")
    async with worker(without_engines, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        error = last_error(await answer(process, IDS, LONG))
        assert error.code == "worker-died"
        assert "MPI_ABORT" in error.detail
        assert is_gone(process.pid)


async def test_a_shutdown_that_hangs_is_killed(
    with_engines: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "hang-at-shutdown")
    async with worker(with_engines, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        await process.close(deadline=1.0)
        assert session_is_empty(process.pid)


async def test_an_engine_is_built_saved_and_loaded(with_engines: str, log: Path, tmp_path: Path) -> None:
    wanted, folder = spec("int8-sq"), tmp_path / "engine"
    folder.mkdir()
    async with worker(with_engines, log) as process:
        command = protocol.Prepare(process.next_id(), wanted.to_json(), str(folder))
        events = [event async for event in process.run(command)]
        assert isinstance(events[-1], protocol.Prepared), events[-1]
        assert "Building TRT-LLM engine" in [event.line for event in of_type(events, protocol.Log)]
    assert sorted(path.name for path in folder.iterdir()) == ["engine", "reference.json"]
    async with worker(with_engines, log) as process:
        assert isinstance(await load(process, wanted, str(folder)), protocol.Ready)
        assert isinstance((await answer(process, IDS, SHORT))[-1], protocol.Done)


async def test_a_release_without_engines_cannot_build(
    without_engines: str, log: Path, tmp_path: Path
) -> None:
    async with worker(without_engines, log) as process:
        command = protocol.Prepare(process.next_id(), spec("int8-sq").to_json(), str(tmp_path))
        event = await process.ask(command)
        assert isinstance(event, protocol.Error)
        assert event.code == "no-engine-class"


def changed(folder: Path, **fields: object) -> Path:
    """Copy the demo checkpoint with another config.json."""
    shutil.copytree(CHECKPOINT, folder)
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    return folder


async def test_the_chosen_precision_is_loaded(python: str, log: Path, tmp_path: Path) -> None:
    """Whatever the checkpoint is; the type is read back and logged."""
    floats = changed(tmp_path / "fp32", dtype="float32")
    async with worker(python, log) as process:
        for precision, dtype in (("fp16", "float16"), ("bf16", "bfloat16")):
            wanted = replace(spec(precision), checkpoint=str(floats))
            command = protocol.Load(process.next_id(), wanted.to_json())
            *earlier, ready = [event async for event in process.run(command)]
            assert isinstance(ready, protocol.Ready), ready
            lines = [event.line for event in of_type(earlier, protocol.Log)]
            assert f"weights that are not quantised: {dtype}" in lines


CODE = """
from pathlib import Path

from transformers import LlamaConfig

Path(__file__).with_name("touched").touch()
Path("TARGET").touch()


class OwnConfig(LlamaConfig):
    pass
"""


async def test_no_code_of_a_checkpoint_is_run(python: str, log: Path, tmp_path: Path) -> None:
    """The library runs it whatever it is told, for a family that transformers knows too."""
    auto_map = {"AutoConfig": "own.OwnConfig"}
    folder, ran = changed(tmp_path / "own", auto_map=auto_map), tmp_path / "ran"
    (folder / "own.py").write_text(CODE.replace("TARGET", str(ran)))
    async with worker(python, log) as process:
        ready = await load(process, replace(spec(), checkpoint=str(folder)))
        assert isinstance(ready, protocol.Ready), ready
        assert not ran.exists()
        trusted = replace(spec(), checkpoint=str(folder), trust_remote_code=True)
        assert isinstance(await load(process, trusted), protocol.Ready)
        assert ran.exists()


async def test_reused_blocks_are_those_of_the_last_prompt(python: str, log: Path) -> None:
    """The library counts them since its start."""
    async with worker(python, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        prompt = tuple(range(20, 120))
        for ids, reused in ((prompt, 0), (prompt, 3), (prompt, 3), (tuple(range(300, 400)), 0)):
            events = await answer(process, ids, SHORT)
            assert of_type(events, protocol.KV)[-1].usage.reused_blocks == reused


SAMPLED = replace(SHORT, temperature=1.0, ignore_eos=True)


async def tokens(process: EngineProcess, sampling: protocol.Sampling) -> tuple[int, ...]:
    """Return the tokens of an answer."""
    done = (await answer(process, IDS, sampling))[-1]
    assert isinstance(done, protocol.Done)
    return done.token_ids


async def test_settings_that_a_release_ignores_are_named(
    with_engines: str, without_engines: str, log: Path
) -> None:
    """1.2 accepts them without an error; the newest reads them."""
    async with worker(with_engines, log) as process:
        ready = await load(process, spec())
        assert isinstance(ready, protocol.Ready)
        assert set(ready.ignored_sampling) == {"seed", "min_p", "repetition_penalty"}
        assert await tokens(process, SAMPLED) != await tokens(process, SAMPLED)
    async with worker(without_engines, log) as process:
        ready = await load(process, spec())
        assert isinstance(ready, protocol.Ready)
        assert ready.ignored_sampling == ()
        assert await tokens(process, SAMPLED) == await tokens(process, SAMPLED)


async def test_the_worker_sends_no_usage_statistics(with_engines: str, log: Path) -> None:
    async with worker(with_engines, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        assert "without usage statistics: 1" in await asyncio.to_thread(log.read_text)


async def test_users_share_an_engine_that_is_started_for_their_batch(python: str, log: Path) -> None:
    """Every request is answered, the library's counts are shown, and single answers are as before.

    The double runs one request at a time, so requests wait; the real library batches them.
    """
    async with worker(python, log) as process:
        assert isinstance(await load(process, spec()), protocol.Ready)
        before = (await answer(process, IDS, SHORT))[-1]
        command = protocol.LoadTest(process.next_id(), 3, 6, ("Hello", "What is a KV cache?"), SHORT)
        events = [event async for event in process.run(command)]
        assert events[-1] == protocol.LoadTested(command.id), events[-1]
        record = LoadRecord(3)
        for event in of_type(events, protocol.InFlight):
            record.take(event, 0)
        figures = record.figures()
        assert (figures.completed, len(record.requests)) == (6, 6)
        assert figures.total_blocks
        text = await asyncio.to_thread(log.read_text)
        assert "batch size=3" in text or "batch_size=3" in text or "[1, 2, 3]" in text, text[-2000:]
        stopped = protocol.LoadTest(process.next_id(), 2, 40, ("Hello",), LONG)
        async for event in process.run(stopped):
            if isinstance(event, protocol.InFlight) and any(one.token_ns for one in event.requests):
                await process.stop(stopped.id)
        assert event == protocol.LoadTested(stopped.id, stopped=True)
        after = (await answer(process, IDS, SHORT))[-1]
        assert isinstance(before, protocol.Done)
        assert isinstance(after, protocol.Done)
        assert after.token_ids == before.token_ids

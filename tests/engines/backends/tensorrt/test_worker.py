"""The worker with a plan of the real builder; the runtime is a double, which computes by ONNX Runtime."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.backends.tensorrt import plan_file
from engines.environments.start import start_worker
from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.engines.backends.tensorrt.conftest import spec_of, use_double
from tests.engines.worker.helpers import answer, last_error

pytestmark = pytest.mark.usefixtures("gpu")
PROMPT = tuple(range(5, 45))
GREEDY = Sampling(max_tokens=32, ignore_eos=True)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    process = await start_worker("tensorrt", tmp_path / "log")
    yield process
    await process.close()


@pytest.fixture(scope="module")
def shared_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the double keeps the graphs of plans that several tests use."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, llama: Path, shared_graphs: Path) -> Path:
    """An fp16 engine of the real builder, built once."""
    folder = tmp_path_factory.mktemp("plan")
    with pytest.MonkeyPatch.context() as patch:
        use_double(patch, shared_graphs)

        async def run() -> protocol.Event:
            process = await start_worker("tensorrt", folder.with_suffix(".log"))
            try:
                return await built(process, llama, folder)
            finally:
                await process.close()

        prepared = asyncio.run(run())
    assert isinstance(prepared, protocol.Prepared), prepared
    return folder


@pytest.fixture
def engine(plan: Path, shared_graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change."""
    monkeypatch.setenv("TENSORRT_DOUBLE_GRAPHS", str(shared_graphs))
    return Path(shutil.copytree(plan, tmp_path / "engine"))


async def built(
    process: EngineProcess, checkpoint: Path, folder: Path, precision: str = "fp16"
) -> protocol.Event:
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240
    spec = spec_of(checkpoint, precision)
    return await process.ask(protocol.Prepare(process.next_id(), spec.to_json(), str(folder)))


async def loaded(
    process: EngineProcess, checkpoint: Path, folder: Path, precision: str = "fp16"
) -> protocol.Event:
    spec = spec_of(checkpoint, precision)
    return await process.ask(protocol.Load(process.next_id(), spec.to_json(), str(folder)))


def reference(checkpoint: Path) -> list[int]:
    """Return what transformers continues PROMPT with, by the largest logit."""
    model, ids = AutoModelForCausalLM.from_pretrained(checkpoint).eval(), list(PROMPT)
    with torch.inference_mode():
        for _ in range(GREEDY.max_tokens):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(PROMPT) :]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
async def test_build_load_and_chat(
    family: str, worker: EngineProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With a smoke test; the answer is that of transformers, the second one reuses the prefix."""
    checkpoint, folder = request.getfixturevalue(family), tmp_path / "engine"
    prepared = await built(worker, checkpoint, folder)
    assert isinstance(prepared, protocol.Prepared), prepared
    ready = await loaded(worker, checkpoint, folder)
    assert isinstance(ready, protocol.Ready), ready
    assert ready.context == 256
    assert ready.kv.bytes_total == 256 * ready.kv.bytes_used / ready.kv.tokens
    events = await answer(worker, PROMPT, GREEDY)
    chunks = [event for event in events if isinstance(event, protocol.Chunk)]
    assert [token for chunk in chunks for token in chunk.token_ids] == reference(checkpoint)
    again = await answer(worker, (*PROMPT, *reference(checkpoint), 7), GREEDY)
    assert isinstance(again[-1], protocol.Done)
    assert again[-1].cached == len(PROMPT) + GREEDY.max_tokens - 1  # the last token was never computed
    layers = json.loads((folder / plan_file.ENGINE_LAYERS).read_text())
    assert layers["Layers"]
    assert all(time > 0 for time in json.loads((folder / plan_file.LAYER_TIMES).read_text()).values())


async def test_scores_a_stop_and_sampling(engine: Path, worker: EngineProcess, llama: Path) -> None:
    """By one worker, one after the other."""
    await loaded(worker, llama, engine)
    await _check_scores(worker, llama)
    await _check_stop(worker)
    await _check_sampling(worker)


async def _check_scores(worker: EngineProcess, llama: Path) -> None:
    """More tokens than are scored at once."""
    ids = tuple(3 + place % 300 for place in range(200))
    scored = await worker.ask(protocol.Score(worker.next_id(), ids))
    assert isinstance(scored, protocol.Scored), scored
    model = AutoModelForCausalLM.from_pretrained(llama).eval()
    with torch.inference_mode():
        rows = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = [float(rows[place, token]) for place, token in enumerate(ids[1:])]
    assert scored.logprobs == pytest.approx(expected, abs=0.05)


async def _check_stop(worker: EngineProcess) -> None:
    """A stop takes effect within a step."""
    command = protocol.Generate(worker.next_id(), (), PROMPT, Sampling(max_tokens=200, ignore_eos=True))
    tokens = 0
    async for event in worker.run(command):
        if isinstance(event, protocol.Chunk):
            tokens += len(event.token_ids)
            await worker.stop(command.id)
    assert isinstance(event, protocol.Done)
    assert event.reason == "stopped"
    assert tokens < 200


async def _check_sampling(worker: EngineProcess) -> None:
    """It is reproducible."""
    sampling = Sampling(max_tokens=16, temperature=1.0, top_p=0.9, seed=3, ignore_eos=True)
    texts = []
    for _ in range(2):
        done = (await answer(worker, PROMPT, sampling))[-1]
        assert isinstance(done, protocol.Done), last_error([done])
        texts.append(done.text)
    assert texts[0] == texts[1] != ""


async def test_the_kernel_cache_is_kept_with_the_engine(tmp_path: Path, engine: Path, llama: Path) -> None:
    """The smoke test has written it first; the double counts how often it was written."""
    assert (engine / plan_file.RUNTIME_CACHE).read_bytes() == b"1"
    process = await start_worker("tensorrt", tmp_path / "log")
    assert isinstance(await loaded(process, llama, engine), protocol.Ready)
    await process.close(60)  # a busy machine needs more than the 5 seconds of a side
    assert (engine / plan_file.RUNTIME_CACHE).read_bytes() == b"2"


@pytest.mark.parametrize(
    ("failure", "code"),
    [("no-driver", "no-gpu"), ("out-of-memory", "out-of-memory"), ("other-release", "other-release")],
)
async def test_loads_that_fail(
    failure: str, code: str, tmp_path: Path, engine: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_DOUBLE_FAILURE", failure)
    process = await start_worker("tensorrt", tmp_path / "log")
    error = await loaded(process, llama, engine)
    await process.close()
    assert isinstance(error, protocol.Error), error
    assert error.code == code
    assert error.hint


async def test_a_step_that_fails_is_reported(
    tmp_path: Path, engine: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_DOUBLE_FAILURE", "step")
    process = await start_worker("tensorrt", tmp_path / "log")
    error = await loaded(process, llama, engine)
    await process.close()
    assert isinstance(error, protocol.Error)
    assert "illegal memory access" in error.message


async def test_damaged_files_are_refused(
    engine: Path, worker: EngineProcess, llama: Path, tmp_path: Path
) -> None:
    """The worker takes the next command."""
    for damage, size in (("model.plan", 50), ("model.plan", 9999), ("plan.json", 50)):
        folder = Path(shutil.copytree(engine, tmp_path / f"{damage}-{size}"))
        (folder / damage).write_bytes((folder / damage).read_bytes()[:size])
        error = await loaded(worker, llama, folder)
        assert isinstance(error, protocol.Error)
        assert error.code == "load-failed"
        assert "damaged" in error.message


async def test_an_engine_for_another_gpu_is_stored_and_not_loaded(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_DOUBLE_GPU", "8.6")
    process, folder = await start_worker("tensorrt", tmp_path / "log"), tmp_path / "engine"
    assert isinstance(await built(process, llama, folder), protocol.Prepared)
    error = await loaded(process, llama, folder)
    await process.close()
    assert isinstance(error, protocol.Error)
    assert error.message == (
        "This engine cannot run here: it was built for sm89, and this machine's GPU is sm86."
    )

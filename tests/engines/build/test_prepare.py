"""From a spec to an engine: reused, waited for, cancelled, and what is left behind (nothing)."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from engines.build.prepare import PreparedEngine, Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.worker.helpers import eventually, is_gone


class Workers:
    """Starts workers and remembers them."""

    def __init__(self) -> None:
        self.started: list[EngineProcess] = []

    async def start(self, backend: str, log: Path) -> EngineProcess:
        """As EngineProcess.start."""
        self.started.append(await fork_worker(backend, log))
        return self.started[-1]


def openvino(checkpoint: Path) -> EngineSpec:
    """A backend that builds."""
    return EngineSpec(str(checkpoint), "openvino", "int8", context=256)


async def steps(spec: EngineSpec, root: Path) -> list[Step]:
    """All steps."""
    return [step async for step in prepare(spec, EngineStore(root / "store"), root / "log")]


def log_lines(found: list[Step]) -> str:
    """What the user reads."""
    return "\n".join(step.line for step in found if isinstance(step, protocol.Log))


def assert_nothing_left(store: EngineStore) -> None:
    """No engine, no folder, and every lock free."""
    assert not store.entries()
    assert not list((store.root / "building").glob("*"))
    for lock in (store.root / "locks").glob("*.lock"):
        with store._lock(lock.stem) as free:
            assert free


async def test_built_once_then_reused_until_the_checkpoint_changes(tiny_llama: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(tiny_llama, tmp_path / "checkpoint")
    built = await steps(openvino(checkpoint), tmp_path)
    assert isinstance(built[-1], PreparedEngine), built[-1]
    assert not built[-1].reused
    again = await steps(openvino(checkpoint), tmp_path)
    assert isinstance(again[-1], PreparedEngine)
    assert again[-1].reused
    os.utime(checkpoint / "model.safetensors")
    anew = await steps(openvino(checkpoint), tmp_path)
    assert "built anew, because the checkpoint's model.safetensors changed" in log_lines(anew)


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_cancelling_a_build_leaves_nothing(tiny_llama: Path, tmp_path: Path, how: str) -> None:
    workers, store = Workers(), EngineStore(tmp_path / "store")
    building = asyncio.Event()

    async def build() -> None:
        async with aclosing(prepare(openvino(tiny_llama), store, tmp_path / "log", workers.start)) as found:
            async for step in found:
                if isinstance(step, protocol.Stage):
                    os.kill(workers.started[0].pid, signal.SIGSTOP)
                    building.set()
                    if how == "aclose":
                        return

    task = asyncio.create_task(build())
    await asyncio.wait_for(building.wait(), 30)
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert is_gone(workers.started[0].pid)
    assert_nothing_left(store)


async def test_killed_while_building(tiny_llama: Path, tmp_path: Path) -> None:
    workers, store = Workers(), EngineStore(tmp_path / "store")
    found = []
    async for step in prepare(openvino(tiny_llama), store, tmp_path / "log", workers.start):
        found.append(step)
        if isinstance(step, protocol.Stage):
            os.kill(workers.started[0].pid, signal.SIGKILL)
    assert isinstance(found[-1], protocol.Error)
    assert found[-1].message == "The worker ended: killed by SIGKILL."
    assert_nothing_left(store)


async def test_two_apps_build_the_same_engine(tiny_llama: Path, tmp_path: Path) -> None:
    first, second = await asyncio.gather(
        steps(openvino(tiny_llama), tmp_path), steps(openvino(tiny_llama), tmp_path)
    )
    ends = [first[-1], second[-1]]
    assert all(isinstance(end, PreparedEngine) for end in ends), ends
    assert sorted(end.reused for end in ends if isinstance(end, PreparedEngine)) == [False, True]
    words = "another trt-playground is building this engine; waiting for it"
    assert words in log_lines(first) + log_lines(second)


async def test_the_app_is_killed_in_a_build_and_the_next_one_sweeps(tiny_llama: Path, tmp_path: Path) -> None:
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engines.worker.app_stand_in", tmp_path, tiny_llama, "openvino"
    )
    assert await eventually((tmp_path / "pid").exists, 30)
    store = EngineStore(tmp_path / "store")
    store.sweep()  # a live build is left alone
    assert len(list((store.root / "building").iterdir())) == 1
    app.kill()
    await app.wait()
    assert await eventually(lambda: is_gone(int((tmp_path / "pid").read_text())), 2)
    assert len(list((store.root / "building").iterdir())) == 1
    found = await steps(openvino(tiny_llama), tmp_path)
    assert isinstance(found[-1], PreparedEngine), found[-1]
    assert not list((store.root / "building").iterdir())


async def test_a_disk_that_is_full(tiny_llama: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: writes fail in the worker as they do there."""
    workers, store = Workers(), EngineStore(tmp_path / "store")

    async def start(backend: str, log: Path) -> EngineProcess:
        process = await workers.start(backend, log)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        return process

    found = [step async for step in prepare(openvino(tiny_llama), store, tmp_path / "log", start)]
    assert isinstance(found[-1], protocol.Error)
    assert found[-1].code == "disk-full"
    assert found[-1].message.startswith("The disk ")
    assert found[-1].hint.startswith("Free some space")
    assert_nothing_left(store)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("missing", "no-checkpoint"),
        ("empty", "no-checkpoint"),
        ("not causal", "not-causal-lm"),
        ("broken header", "broken-weights"),
        ("no tokenizer", "missing-tokenizer"),
    ],
)
async def test_a_checkpoint_that_is_none(tiny_llama: Path, tmp_path: Path, damage: str, code: str) -> None:
    folder = tmp_path / "checkpoint"
    if damage == "empty":
        folder.mkdir()
    elif damage != "missing":
        shutil.copytree(tiny_llama, folder)
    if damage == "not causal":
        config = (folder / "config.json").read_text().replace("LlamaForCausalLM", "BertForMaskedLM")
        (folder / "config.json").write_text(config)
    elif damage == "broken header":
        (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    elif damage == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    found = await steps(openvino(folder), tmp_path)
    assert isinstance(found[-1], protocol.Error)
    assert found[-1].code == code
    assert found[-1].message
    assert found[-1].hint


async def test_an_interpreter_that_is_not_there(tiny_llama: Path, tmp_path: Path) -> None:
    async def start(backend: str, log: Path) -> EngineProcess:
        return await EngineProcess.start(backend, log, "/nowhere/python")

    found = [s async for s in prepare(openvino(tiny_llama), EngineStore(tmp_path), tmp_path / "log", start)]
    assert isinstance(found[0], protocol.Error)
    assert found[0].code == "no-worker"


async def test_a_store_that_cannot_be_written(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    found = await steps(openvino(tiny_llama), tmp_path)
    assert isinstance(found[-1], protocol.Error)
    assert found[-1].code == "disk"
    assert found[-1].message.startswith("The engine store cannot be written: ")

"""From a spec to an engine: reused, waited for, cancelled, and what is left behind (nothing)."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from engines.build.prepare import PreparedEngine, Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.worker.helpers import eventually, is_gone, load


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


async def prepared(
    spec: EngineSpec, root: Path, workers: Workers | None = None, found: list[Step] | None = None
) -> PreparedEngine:
    """Prepare with a worker that has ended afterwards; `found` gets the steps.

    Raises:
        EngineError: as `prepare`.
    """
    process = await (workers or Workers()).start(spec.backend, root / "log")
    on_step: Callable[[Step], None] = (lambda _: None) if found is None else found.append
    try:
        return await prepare(spec, EngineStore(root / "store"), process, on_step)
    finally:
        await process.kill()


async def failure(spec: EngineSpec, root: Path) -> EngineError:
    """Return the error with which preparing fails."""
    with pytest.raises(EngineError) as caught:
        await prepared(spec, root)
    return caught.value


def log_lines(found: list[Step]) -> str:
    """What the user reads."""
    return "\n".join(step.line for step in found if isinstance(step, protocol.Log))


def assert_nothing_left(store: EngineStore) -> None:
    """No engine, no folder, and every lock free."""
    assert not store.engines()
    assert not list((store.root / "building").glob("*"))
    for lock in (store.root / "locks").glob("*.lock"):
        with FileLock(lock, timeout=0):  # raises Timeout if another holds it
            pass


async def test_built_once_then_reused_until_the_checkpoint_changes(tiny_llama: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(tiny_llama, tmp_path / "checkpoint")
    assert not (await prepared(openvino(checkpoint), tmp_path)).reused
    assert (await prepared(openvino(checkpoint), tmp_path)).reused
    os.utime(checkpoint / "model.safetensors")
    found: list[Step] = []
    assert not (await prepared(openvino(checkpoint), tmp_path, found=found)).reused
    assert "rebuilding, because the checkpoint's model.safetensors changed" in log_lines(found)


async def test_a_worker_that_built_nothing_can_load(tiny_llama: Path, tmp_path: Path) -> None:
    """One process is enough for an engine that is in the store, and for one that needs no build."""
    await prepared(openvino(tiny_llama), tmp_path)
    store = EngineStore(tmp_path / "store")
    for spec in (openvino(tiny_llama), EngineSpec(str(tiny_llama), "pytorch", "fp32", context=256)):
        process = await EngineProcess.start(spec.backend, tmp_path / "log")
        engine = await prepare(spec, store, process, lambda _: None)
        assert process.alive
        await load(process, engine.spec, engine.directory)
        await process.close()


async def test_cancelling_a_build_leaves_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    store, building = EngineStore(tmp_path / "store"), asyncio.Event()
    process = await EngineProcess.start("openvino", tmp_path / "log")

    def take(step: Step) -> None:
        if isinstance(step, protocol.Stage):
            os.kill(process.pid, signal.SIGSTOP)
            building.set()

    task = asyncio.create_task(prepare(openvino(tiny_llama), store, process, take))
    await asyncio.wait_for(building.wait(), 100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert is_gone(process.pid)
    assert_nothing_left(store)


async def test_killed_while_building(tiny_llama: Path, tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "store")
    process = await EngineProcess.start("openvino", tmp_path / "log")

    def take(step: Step) -> None:
        if isinstance(step, protocol.Stage):
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(EngineError, match=r"The worker ended: killed by SIGKILL\."):
        await prepare(openvino(tiny_llama), store, process, take)
    assert_nothing_left(store)


async def test_two_apps_build_the_same_engine(tiny_llama: Path, tmp_path: Path) -> None:
    found: list[Step] = []
    ends = await asyncio.gather(
        prepared(openvino(tiny_llama), tmp_path, found=found),
        prepared(openvino(tiny_llama), tmp_path, found=found),
    )
    assert sorted(end.reused for end in ends) == [False, True]
    assert "another trt-playground is building this engine; waiting for it" in log_lines(found)


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
    assert await eventually(lambda: is_gone(int((tmp_path / "pid").read_text())))
    assert len(list((store.root / "building").iterdir())) == 1
    await prepared(openvino(tiny_llama), tmp_path)
    assert not list((store.root / "building").iterdir())


async def test_a_disk_that_is_full(tiny_llama: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: writes fail in the worker as they do there."""
    store = EngineStore(tmp_path / "store")
    process = await EngineProcess.start("openvino", tmp_path / "log")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    with pytest.raises(EngineError, match=r"^The disk ") as caught:
        await prepare(openvino(tiny_llama), store, process, lambda _: None)
    assert caught.value.code == "disk-full"
    assert caught.value.hint.startswith("Free some space")
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
    error = await failure(openvino(folder), tmp_path)
    assert error.code == code
    assert error.message
    assert error.hint


async def test_a_store_that_cannot_be_written(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    error = await failure(openvino(tiny_llama), tmp_path)
    assert error.code == "disk"
    assert error.message.startswith("The engine store cannot be written: ")

"""The process that built and checked an engine becomes the side's worker: nothing is loaded twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import app.engine_swap
from app.engine_lifecycle import EngineLifecycle
from app.engine_swap import EngineSwap
from app.state.side.phase import Phase
from app.state.side.side import Side
from engines.build.prepare import Step
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.engine import opened as opened_to_compare
from engines.compare.token_scores import ScoredAnswer
from engines.demo import CHECKPOINT
from engines.plan.hardware.hardware import Device
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.worker.helpers import is_gone

SHORT = protocol.Sampling(max_tokens=12, ignore_eos=True)
HELLO = ({"role": "user", "content": "Hello"},)
OPENVINO = EngineSpec(str(CHECKPOINT), "openvino", "int8", context=256)
ONNX = EngineSpec(str(CHECKPOINT), "onnxruntime", "int8", context=256)


class Opened:
    """A side with real workers, which are counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[EngineProcess] = []
        self.steps: list[Step] = []
        self.side = Side("left", lambda _: None)
        self.store = EngineStore(folder / "store")
        self.engine = EngineLifecycle(
            self.side, self.store, folder / "logs", self.start, lambda _, step: self._keep(step)
        )

    async def start(self, backend: str, log: Path) -> EngineProcess:
        """As EngineProcess.start."""
        self.started.append(await fork_worker(backend, log))
        return self.started[-1]

    def _keep(self, step: Step | None) -> None:
        if step is not None:
            self.steps.append(step)

    async def open(self, spec: EngineSpec, swap: EngineSwap | None = None) -> list[str]:
        """Open an engine; returns the stages that its worker went through."""
        self.steps = []
        await self.engine.open(spec, swap)
        assert self.side.phase is Phase.READY, self.side.build
        assert self.engine.process is self.started[-1]
        return [step.name for step in self.steps if isinstance(step, protocol.Stage)]

    async def answer(self) -> str:
        """Ask, and return the answer's text."""
        turn = self.side.conversation.begin("Hello", self.side.title)
        await self.engine.answer(turn, HELLO, SHORT)
        assert turn.error is None
        assert turn.answer
        return turn.answer

    async def score(self) -> ScoredAnswer:
        """Return what the loaded engine expects at each of twenty tokens."""
        return await self.engine.score(AskedPrompt("Hello", HELLO, tuple(range(30, 50))))


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """A side without an engine."""
    made = Opened(tmp_path)
    yield made
    await made.engine.close()
    assert all(is_gone(one.pid) for one in made.started)


@pytest.mark.parametrize("spec", [OPENVINO, ONNX], ids=lambda spec: spec.backend)
async def test_one_worker_builds_and_answers(opened: Opened, spec: EngineSpec) -> None:
    stages = await opened.open(spec)
    ready = opened.side.ready
    assert ready
    assert ready.handed_over
    assert len(opened.started) == 1
    assert stages.count("smoke test") == 1
    assert "load" not in stages
    assert stages[-1] == "warm up"
    assert ready.memory.weights
    answer, scores, memory = await opened.answer(), await opened.score(), ready.memory

    await opened.engine.close()  # and from the store, in a process that did not build it
    stages = await opened.open(spec)
    ready = opened.side.ready
    assert ready
    assert not ready.handed_over
    assert "load" in stages
    assert len(opened.started) == 2
    assert (await opened.answer(), await opened.score(), ready.memory) == (answer, scores, memory)


async def test_an_engine_that_was_just_built_needs_no_room(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was checked while the running engine was loaded; one from the store is yet to be loaded."""
    nothing_free = Device("cpu", "cpu", "", 8 << 30, 0)
    monkeypatch.setattr(app.engine_swap, "devices", lambda: [nothing_free])
    asked: list[tuple[str, ...]] = []

    async def make_room(titles: tuple[str, ...], _missing: int) -> bool:
        asked.append(titles)
        return True

    await opened.open(OPENVINO)
    await opened.open(ONNX, EngineSwap([opened.engine], make_room))
    assert not asked
    assert len(opened.started) == 2
    assert is_gone(opened.started[0].pid)
    assert await opened.answer()
    await opened.open(OPENVINO, EngineSwap([opened.engine], make_room))
    assert asked == [("ONNX Runtime int8",)]
    assert len(opened.started) == 3


async def test_another_spec_than_the_built_one_is_loaded(opened: Opened) -> None:
    """The context window is no part of an engine, but of how it is loaded."""
    async with opened_to_compare(
        OPENVINO, opened.store, opened.start, opened.folder / "log", lambda _: None
    ) as engine:
        assert engine.prepared.loaded
        engine.prepared = replace(engine.prepared, spec=replace(OPENVINO, context=128))
        ready = await engine.load()
        assert (ready.handed_over, ready.context) == (False, 128)

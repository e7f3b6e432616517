"""The owner of a side's engine: one opening at a time, one process, and no dead engine shown as ready."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from app.engine_lifecycle import EngineLifecycle
from app.state.side.phase import ANSWERING, TRANSITIONS, Phase
from app.state.side.side import Side
from engines.backends.registry import BACKENDS
from engines.build.prepare import Step
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles import paced_worker
from tests.engines.worker.helpers import eventually, suspend

LONG = protocol.Sampling(max_tokens=100_000, ignore_eos=True)
HELLO = ({"role": "user", "content": "Hello"},)


class Opened:
    """A lifecycle over the paced double, which counts the workers that it starts."""

    def __init__(self, folder: Path) -> None:
        self.started: list[EngineProcess] = []
        self._python = paced_worker.interpreter(folder)
        self.phases: list[Phase] = []
        self.side = Side("left", lambda side: self.phases.append(side.phase))
        self.engine = EngineLifecycle(self.side, EngineStore(folder / "store"), folder / "logs", self._start)

    async def _start(self, backend: str, log: Path) -> EngineProcess:
        self.started.append(await EngineProcess.start(backend, log, self._python))
        return self.started[-1]

    def running(self) -> list[int]:
        """Return the process ids of the workers that still run."""
        return [one.pid for one in self.started if psutil.pid_exists(one.pid)]

    async def answer(self, sampling: protocol.Sampling = LONG) -> protocol.Error | None:
        """Ask, and return the error of the turn."""
        turn = self.side.conversation.begin("Hello", self.side.title)
        await self.engine.answer(turn, HELLO, sampling)
        return turn.error


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opened]:
    """A side that can open the paced engine."""
    monkeypatch.setitem(BACKENDS, paced_worker.NAME, paced_worker.ENTRY)
    made = Opened(tmp_path)
    yield made
    await made.engine.close()
    assert made.running() == []


def spec(tiny: Path, precision: str = "fp32") -> EngineSpec:
    """The paced engine."""
    return EngineSpec(str(tiny), paced_worker.NAME, precision)


async def until(side: Side, *phases: Phase) -> None:
    """Wait until the side is in one of these phases."""
    assert await eventually(lambda: side.phase in phases, 100), side.phase


async def test_one_process_prepares_and_loads(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    assert opened.side.phase is Phase.READY
    assert len(opened.started) == 1
    assert opened.phases == [Phase.PREPARING, Phase.LOADING, Phase.READY]


async def test_restarting_twice_starts_one_process(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    os.kill(opened.started[0].pid, signal.SIGKILL)
    await until(opened.side, Phase.FAILED)
    assert opened.engine.restart()
    assert not opened.engine.restart()
    await until(opened.side, Phase.READY)
    assert not opened.engine.restart()
    assert len(opened.started) == 2
    assert opened.running() == [opened.started[1].pid]


async def test_of_several_choices_the_last_one_is_opened(opened: Opened, tiny: Path) -> None:
    """Each earlier opening is cancelled, and no process of it is left."""
    openings = []
    for precision in ("fp32", "bf16", "fp32", "bf16"):
        started = len(opened.started)
        openings.append(opened.engine.open(spec(tiny, precision)))
        assert await eventually(lambda started=started: len(opened.started) > started, 100)  # type: ignore[misc]
    await asyncio.wait(openings)
    assert [opening.cancelled() for opening in openings] == [True, True, True, False]
    assert opened.side.phase is Phase.READY
    assert opened.side.spec
    assert opened.side.spec.precision == "bf16"
    assert opened.running() == [opened.side.pid]


async def test_openings_that_are_cancelled_before_their_first_step(opened: Opened, tiny: Path) -> None:
    """The build of a cancelled opening has ended, so that no screen waits for it."""
    opened.engine.open(spec(tiny))
    first = opened.side.build
    opened.engine.open(spec(tiny, "bf16"))
    await opened.engine.cancel()
    assert first
    assert opened.side.build
    assert first.cancelled
    assert opened.side.build.cancelled
    assert opened.side.phase is Phase.EMPTY
    assert not opened.engine.is_opening


async def test_closing_while_an_engine_is_opened(opened: Opened, tiny: Path) -> None:
    opened.engine.open(spec(tiny))
    await until(opened.side, Phase.LOADING)
    await asyncio.gather(opened.engine.close(), opened.engine.close())
    assert opened.side.phase is Phase.EMPTY
    assert opened.running() == []


async def test_a_process_that_dies_while_ready(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    os.kill(opened.started[0].pid, signal.SIGKILL)
    await until(opened.side, Phase.FAILED)
    assert opened.side.error
    assert opened.side.error.message == "The worker ended: killed by SIGKILL."
    assert (await opened.answer()) == opened.side.error


async def test_a_process_that_dies_while_queued(opened: Opened, tiny: Path) -> None:
    """Ending the wait must not bring the dead engine back."""
    await opened.engine.open(spec(tiny))
    opened.engine.queue()
    os.kill(opened.started[0].pid, signal.SIGKILL)
    await until(opened.side, Phase.FAILED)
    await opened.engine.stop()
    opened.engine.unqueue()
    assert opened.side.phase is Phase.FAILED
    assert not opened.side.can_answer


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.LOADING])
async def test_a_process_that_dies_while_it_is_opened(opened: Opened, tiny: Path, phase: Phase) -> None:
    opening = opened.engine.open(spec(tiny))
    await until(opened.side, phase)
    assert await eventually(lambda: bool(opened.started), 100)
    os.kill(opened.started[-1].pid, signal.SIGKILL)
    await opening
    assert opened.side.phase is Phase.FAILED
    assert opened.side.build
    assert opened.side.build.error == opened.side.error
    assert opened.running() == []


async def test_a_process_that_dies_while_answering(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    answering = asyncio.create_task(opened.answer())
    await until(opened.side, Phase.DECODE)
    os.kill(opened.started[0].pid, signal.SIGKILL)
    error = await answering
    assert error
    assert error.code == "worker-died"
    assert opened.side.phase is Phase.FAILED


async def test_an_answer_is_recorded_under_the_engine_that_computed_it(opened: Opened, tiny: Path) -> None:
    """The prompt waits for its turn; meanwhile another engine is opened, which waits for the answer."""
    await opened.engine.open(spec(tiny, "fp32"))
    turn = opened.side.conversation.begin("Hello", opened.side.title)
    opened.engine.queue()
    opening = opened.engine.open(spec(tiny, "bf16"))
    assert await eventually(lambda: len(opened.started) == 2, 100)
    assert opened.engine.unqueue()
    opened.engine.queue()
    assert opened.engine.unqueue()
    await opened.engine.answer(turn, HELLO, protocol.Sampling(max_tokens=4))
    assert turn.answered
    assert turn.engine.endswith("fp32")
    await opening
    assert opened.side.title.endswith("bf16")
    assert opened.running() == [opened.side.pid]


async def test_the_running_engine_answers_while_another_one_is_opened(opened: Opened, tiny: Path) -> None:
    """The side shows the new one when it is loaded, and no phase before that."""
    await opened.engine.open(spec(tiny))
    opened.phases.clear()
    opening = opened.engine.open(spec(tiny, "bf16"))
    assert await opened.answer(protocol.Sampling(max_tokens=4)) is None
    assert opened.side.conversation.turns[-1].engine.endswith("fp32")
    await opening
    assert opened.side.title.endswith("bf16")
    assert opened.phases[-3:] == [Phase.PREPARING, Phase.LOADING, Phase.READY]
    assert opened.running() == [opened.side.pid]


async def test_an_answer_ends_before_its_engine_is_replaced(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    answering = asyncio.create_task(opened.answer())
    await until(opened.side, Phase.DECODE)
    opening = opened.engine.open(spec(tiny, "bf16"))
    build = opened.side.build
    assert build
    assert await eventually(lambda: build.prepared is not None, 100)
    await opened.engine.stop()
    assert await answering is None
    assert opened.side.conversation.turns[-1].engine.endswith("fp32")
    await opening
    assert opened.side.phase is Phase.READY
    assert opened.side.title.endswith("bf16")
    assert opened.running() == [opened.side.pid]
    assert await opened.answer(protocol.Sampling(max_tokens=4)) is None


async def test_an_engine_that_cannot_be_opened_replaces_nothing(opened: Opened, tiny: Path) -> None:
    """The running engine answers on, and a restart after its death opens it, not the one that failed."""
    await opened.engine.open(spec(tiny))
    pid = opened.side.pid
    await opened.engine.open(spec(tiny.parent / "missing"))
    assert opened.side.build
    assert opened.side.build.error
    assert opened.side.error is None
    assert opened.side.pid == pid
    assert opened.running() == [pid]
    assert opened.engine.kept
    assert await opened.answer(protocol.Sampling(max_tokens=4)) is None
    assert pid
    os.kill(pid, signal.SIGKILL)
    await until(opened.side, Phase.FAILED)
    assert opened.engine.restart()
    await until(opened.side, Phase.READY)


async def test_a_cancelled_opening_replaces_nothing(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    pid = opened.side.pid
    opened.engine.open(spec(tiny, "bf16"))
    assert await eventually(lambda: len(opened.started) == 2, 100)
    await opened.engine.cancel()
    assert opened.side.phase is Phase.READY
    assert opened.running() == [pid]
    assert opened.side.title.endswith("fp32")


async def test_the_loaded_engine_is_not_loaded_again(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    pid = opened.side.pid
    await opened.engine.open(spec(tiny))
    assert opened.side.build
    assert opened.side.build.ready
    assert opened.running() == [pid]


async def test_a_running_engine_that_dies_meanwhile_is_replaced(opened: Opened, tiny: Path) -> None:
    await opened.engine.open(spec(tiny))
    pid = opened.side.pid
    opening = opened.engine.open(spec(tiny, "bf16"))
    assert pid
    os.kill(pid, signal.SIGKILL)
    await opening
    assert opened.side.phase is Phase.READY
    assert opened.side.title.endswith("bf16")
    assert opened.side.error is None


async def test_a_backend_that_this_release_does_not_have(tiny: Path, tmp_path: Path) -> None:
    side = Side("left")
    engine = EngineLifecycle(side, EngineStore(tmp_path), tmp_path)
    await engine.open(EngineSpec(str(tiny), "no-such-backend", "int8"))
    assert side.phase is Phase.FAILED
    assert side.error
    assert side.error.code == "unknown-backend"
    assert side.title == "no-such-backend int8"
    assert engine.process is None


async def test_a_bug_while_opening_is_an_error_of_the_side(tiny: Path, tmp_path: Path) -> None:
    async def start(backend: str, log: Path) -> EngineProcess:
        raise KeyError(backend)

    steps: list[Step | None] = []
    side = Side("left")
    engine = EngineLifecycle(
        side, EngineStore(tmp_path), tmp_path, start, on_build=lambda _, step: steps.append(step)
    )
    await engine.open(EngineSpec(str(tiny), "pytorch", "fp32"))
    assert side.phase is Phase.FAILED
    assert side.error
    assert side.error.code == "internal"
    assert side.build
    assert not side.build.running
    assert steps


async def test_an_interpreter_that_does_not_exist(tiny: Path, tmp_path: Path) -> None:
    async def start(backend: str, log: Path) -> EngineProcess:
        return await EngineProcess.start(backend, log, "/nowhere/python")

    side = Side("left")
    engine = EngineLifecycle(side, EngineStore(tmp_path), tmp_path, start)
    await engine.open(EngineSpec(str(tiny), "pytorch", "fp32"))
    assert side.error
    assert side.error.code == "no-worker"


async def test_a_process_that_sigkill_does_not_end(
    opened: Opened, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one in a GPU driver's uninterruptible call: closing reports it and does not hang."""
    monkeypatch.setattr("engines.worker.process.KILL_SECONDS", 0.3)
    monkeypatch.setattr("engines.worker.process.SHUTDOWN_SECONDS", 0.1)
    monkeypatch.setattr("engines.worker.process.TERMINATE_SECONDS", 0.1)
    await opened.engine.open(spec(tiny))
    [stuck] = opened.started
    assert stuck.alive
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "send_signal", lambda _, __: None)
        await suspend(stuck.pid)
        async with asyncio.timeout(60):
            await opened.engine.close()
    assert stuck.is_stuck, stuck.death
    assert stuck.death
    assert stuck.death.code == "worker-stuck"
    assert str(stuck.pid) in stuck.death.message
    assert opened.side.phase is Phase.EMPTY
    os.kill(stuck.pid, signal.SIGKILL)
    assert await eventually(lambda: not psutil.pid_exists(stuck.pid), 200)


def test_every_phase_can_end() -> None:
    """The table has every phase that a side enters, and each leads to EMPTY."""
    assert set(TRANSITIONS) == set(Phase) - {Phase.STALLED}
    for phase, following in TRANSITIONS.items():
        assert phase is Phase.EMPTY or Phase.EMPTY in following
        assert phase in (Phase.EMPTY, Phase.FAILED) or Phase.FAILED in following
    assert all(Phase.READY in TRANSITIONS[phase] for phase in ANSWERING)

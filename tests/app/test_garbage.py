"""Any garbage from a worker: the other side continues, closing ends, and the received text is saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engine_lifecycle import EngineLifecycle
from app.generation import GenerationRun
from app.state.conversation.conversation_file import ConversationFile, read_record
from app.state.conversation.turn import Turn
from app.state.settings.settings import Settings, TimingMode
from app.state.side import turns
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.take_snapshot import ProcessMeasures, side_snapshot
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.measure.energy import EnergyCounter
from engines.worker.process import EngineProcess
from tests.app.test_generation import View
from tests.doubles.garbage import FIRST_TEXT, KINDS, Garbage
from tests.engines.worker.helpers import MISBEHAVING, session_is_empty

CORRECT = "correct"
"""Not a kind of garbage: the double then behaves."""


class TwoSides:
    """A side whose worker sends garbage, and one whose worker behaves."""

    def __init__(self, folder: Path, tiny: Path, kind: str, environment: pytest.MonkeyPatch) -> None:
        self.folder, self._environment = folder, environment
        self.bad, self.good = Side("left"), Side("right")
        self.kinds = {self.bad: kind, self.good: CORRECT}
        self.history = ConversationFile(folder / "conversations")
        self.pids: list[int] = []
        self.engines = {side: self._engine(side) for side in self.kinds}
        self.spec = EngineSpec(str(tiny), "pytorch", "fp32")
        self.view = View()

    def _engine(self, side: Side) -> EngineLifecycle:
        async def start(backend: str, log: Path) -> EngineProcess:
            self._environment.setenv("GARBAGE", self.kinds[side])
            process = await EngineProcess.start(backend, log, str(MISBEHAVING))
            self.pids.append(process.pid)
            return process

        return EngineLifecycle(side, EngineStore(self.folder / "store"), self.folder / side.name, start)

    async def open(self) -> None:
        """Open both engines, one after the other: each has its own environment variable."""
        for side in self.kinds:
            await self.engines[side].open(self.spec)

    async def ask(self) -> dict[Side, Turn]:
        """Ask both sides together."""
        begun = turns.begin(self.kinds, "Question", ())
        run = GenerationRun(
            begun,
            self.view,
            Settings(timing=TimingMode.TOGETHER),
            self.engines.__getitem__,
            self.history,
            EnergyCounter(),
        )
        await run.run()
        return begun

    def saved(self, side: Side) -> Turn:
        """Return the last turn of a side as it is in the file."""
        assert self.history.path
        return read_record(self.history.path).sides[side.name].turns[-1]

    async def close(self) -> None:
        """Close both engines."""
        async with asyncio.timeout(60):
            await asyncio.gather(*(engine.close() for engine in self.engines.values()))


@pytest.fixture
async def sides(
    tmp_path: Path, tiny: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TwoSides]:
    made = TwoSides(tmp_path, tiny, kind, monkeypatch)
    yield made
    await made.close()
    assert all(session_is_empty(pid) for pid in made.pids)
    assert all(side.phase is Phase.EMPTY for side in made.kinds)


def names(at: str) -> list[str]:
    return [name for name, garbage in KINDS.items() if (garbage.at == "generate") == (at == "generate")]


def test_there_are_many_kinds() -> None:
    assert len(KINDS) >= 40


@pytest.mark.parametrize("kind", names("generate"))
async def test_garbage_in_an_answer(sides: TwoSides, kind: str) -> None:
    garbage: Garbage = KINDS[kind]
    await sides.open()
    async with asyncio.timeout(60):
        asked = asyncio.create_task(sides.ask())
        if garbage.endless and kind.startswith("heartbeats"):  # nothing is wrong with it yet
            await until_received(sides.bad)
            await sides.engines[sides.bad].close()
        begun = await asked
    good, bad = begun[sides.good], begun[sides.bad]
    assert (good.answer, good.reason, good.error) == (FIRST_TEXT, "stop", None)
    assert sides.good.phase is Phase.READY
    assert bad.answer.startswith(garbage.kept)
    assert sides.saved(sides.bad).answer.startswith(garbage.kept)
    assert sides.saved(sides.good).answer == FIRST_TEXT
    if garbage.refused and sides.bad.phase is not Phase.EMPTY:
        assert bad.error
        assert bad.error.code in ("worker-nonsense", "worker-died")
        assert sides.bad.phase is Phase.FAILED
    elif not garbage.refused:
        assert sides.bad.phase is Phase.READY
    assert sides.view.reports == []
    side_snapshot(sides.bad, 1.0, ProcessMeasures(None, {}, None))


async def until_received(side: Side) -> None:
    """Wait until the first text has arrived."""
    while not (side.conversation.turns and side.conversation.turns[-1].answer):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", names("load"))
async def test_garbage_while_opening(sides: TwoSides, kind: str) -> None:
    async with asyncio.timeout(60):
        await sides.open()
    assert sides.good.phase is Phase.READY
    if KINDS[kind].refused:
        assert sides.bad.phase is Phase.FAILED
        assert sides.bad.error
        assert sides.bad.error.code == "worker-nonsense"
    else:
        assert sides.bad.phase is Phase.READY
    begun = await sides.ask()
    assert begun[sides.good].answer == FIRST_TEXT

"""One prompt on both sides: what fails on one side, or on the screen, leaves the other side alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.engine_lifecycle import EngineLifecycle
from app.generation import GenerationRun
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.turn import Turn
from app.state.settings.settings import Settings, TimingMode
from app.state.side import turns
from app.state.side.phase import Phase
from app.state.side.side import Side
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.measure.energy import EnergyCounter
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.app.driving import sampled
from tests.doubles import paced_worker


class View:
    """Where nothing is drawn. One that is broken raises in every method that draws."""

    is_busy = False

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.reports: list[str] = []
        self.ended: list[str] = []

    def begin_answer(self, side: Side) -> None:
        self._draw()

    def flush(self) -> None:
        self._draw()

    def end_answer(self, side: Side) -> None:
        self.ended.append(side.name)
        self._draw()

    def report(self, message: str) -> None:
        self.reports.append(message)

    def _draw(self) -> None:
        if self.broken:
            raise RuntimeError("no such widget")


class BrokenEngine(EngineLifecycle):
    """Has a bug that shows in every answer."""

    async def answer(self, *_: object, **__: object) -> None:
        """Fail."""
        raise ZeroDivisionError("a bug")


class Both:
    """Two sides with the paced double."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sides = Side("left"), Side("right")
        self.store = EngineStore(folder / "store")
        self.engines = {side: self.lifecycle(side, EngineLifecycle) for side in self.sides}
        self.settings = sampled(Settings(), Sampling(max_tokens=3, ignore_eos=True))

    def lifecycle(self, side: Side, kind: type[EngineLifecycle]) -> EngineLifecycle:
        """Create the owner of a side's engine."""

        async def start(backend: str, log: Path) -> EngineProcess:
            return await EngineProcess.start(backend, log, paced_worker.interpreter(self.folder))

        return kind(side, self.store, self.folder / "logs", start)

    async def run(self, view: View, mode: TimingMode) -> dict[Side, Turn]:
        """Ask both sides, and return their turns."""
        asked = turns.begin(self.sides, "Hello", ())
        settings = replace(self.settings, timing=mode)
        history = ConversationFile(self.folder / "conversations")
        run = GenerationRun(asked, view, settings, self.engines.__getitem__, history, EnergyCounter())
        async with asyncio.timeout(100):
            await run.run()
        return asked


@pytest.fixture
async def both(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    """Two engines that are ready."""
    monkeypatch.setitem(BACKENDS, paced_worker.NAME, paced_worker.ENTRY)
    made = Both(tmp_path)
    spec = EngineSpec(str(tiny), paced_worker.NAME, "fp32")
    await asyncio.gather(*(engine.open(spec) for engine in made.engines.values()))
    assert all(side.phase is Phase.READY for side in made.sides), [side.error for side in made.sides]
    yield made
    await asyncio.gather(*(engine.close() for engine in made.engines.values()))


@pytest.mark.parametrize("mode", list(TimingMode))
async def test_both_sides_answer(both: Both, mode: TimingMode) -> None:
    view = View()
    answered = await both.run(view, mode)
    assert [len(turn.token_ids) for turn in answered.values()] == [3, 3]
    assert view.reports == []
    assert sorted(view.ended) == ["left", "right"]


@pytest.mark.parametrize("mode", list(TimingMode))
async def test_a_view_that_cannot_draw(both: Both, mode: TimingMode) -> None:
    """The answers are complete; the error is reported once, not ten times a second."""
    view = View(broken=True)
    answered = await both.run(view, mode)
    assert [len(turn.token_ids) for turn in answered.values()] == [3, 3]
    assert view.reports == ["The answer cannot be drawn: RuntimeError('no such widget')"]
    assert all(side.phase is Phase.READY for side in both.sides)


@pytest.mark.parametrize("mode", list(TimingMode))
async def test_a_bug_on_one_side(both: Both, mode: TimingMode) -> None:
    """It becomes that turn's error; the other side answers, and both can be asked again."""
    left, right = both.sides
    sound = both.engines[left]
    both.engines[left] = both.lifecycle(left, BrokenEngine)
    answered = await both.run(View(), mode)
    assert answered[left].error
    assert answered[left].error.message == "ZeroDivisionError: a bug"
    assert len(answered[right].token_ids) == 3
    both.engines[left] = sound
    assert [turn.error for turn in (await both.run(View(), mode)).values()] == [None, None]


async def test_a_disk_that_refuses_costs_the_copy_and_not_the_answer(both: Both) -> None:
    (both.folder / "conversations").write_text("a file where the folder should be")
    view = View()
    answered = await both.run(view, TimingMode.IN_TURN)
    assert all(turn.answered for turn in answered.values())
    assert view.reports[0].startswith("The conversation cannot be saved: ")

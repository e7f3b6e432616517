"""Engines that are opened together: all are prepared before one is replaced, and room is asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app import engine_swap
from app.engine_swap import FAILED, KEPT, Candidate, EngineSwap, NotReplacedError
from engines.plan.estimate.memory_need import MemoryNeed, missing_bytes
from engines.plan.hardware.hardware import Device

GIB = 1 << 30


class Running:
    """Two running engines, and what was asked."""

    def __init__(self) -> None:
        self.unloaded: list[str] = []
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def candidate(self, title: str, gib: float = 3) -> Candidate:
        async def unload() -> None:
            self.unloaded.append(title)

        return Candidate(MemoryNeed(("cpu",), round(gib * GIB)), title, unload)

    async def make_room(self, titles: tuple[str, ...], missing: int) -> bool:
        self.asked.append((titles, missing))
        return await self.answer


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the free memory of the CPU, in GiB."""

    def set_free(gib: float) -> None:
        cpu = Device("cpu", "cpu", "", None, round(gib * GIB))
        monkeypatch.setattr(engine_swap, "devices", lambda: (cpu,))

    set_free(4)
    return set_free


async def test_enough_memory_for_both_needs_no_question(free: Callable[[float], None]) -> None:
    free(6)
    running = Running()
    swap = EngineSwap(["left", "right"], running.make_room)
    left = asyncio.create_task(swap.prepared("left", running.candidate("A")))
    await asyncio.sleep(0)
    assert not left.done()
    assert not await swap.prepared("right", running.candidate("B"))
    assert not await left
    assert (running.asked, running.unloaded) == ([], [])


async def test_room_is_asked_for_once(free: Callable[[float], None]) -> None:
    running = Running()
    running.answer.set_result(True)
    swap = EngineSwap(["left", "right"], running.make_room)
    both = (swap.prepared("left", running.candidate("A")), swap.prepared("right", running.candidate("B")))
    assert await asyncio.gather(*both) == [True, True]
    assert running.asked == [(("A", "B"), 2 * GIB)]
    assert running.unloaded == ["A", "B"]


async def test_engines_that_the_user_keeps(free: Callable[[float], None]) -> None:
    running = Running()
    running.answer.set_result(False)
    with pytest.raises(NotReplacedError, match=KEPT):
        await EngineSwap(["left"], running.make_room).prepared("left", running.candidate("A", 5))
    assert running.unloaded == []


async def test_a_failure_of_one_keeps_both(free: Callable[[float], None]) -> None:
    running = Running()
    swap = EngineSwap(["left", "right"], running.make_room)
    left = asyncio.create_task(swap.prepared("left", running.candidate("A")))
    await asyncio.sleep(0)
    swap.leave("right", failed=True)
    with pytest.raises(NotReplacedError, match=FAILED):
        await left


async def test_a_cancelled_opening_withdraws_the_question(free: Callable[[float], None]) -> None:
    running = Running()
    swap = EngineSwap(["left"], running.make_room)
    left = asyncio.create_task(swap.prepared("left", running.candidate("A", 5)))
    while not running.asked:  # noqa: ASYNC110 - the free memory is read in a thread
        await asyncio.sleep(0.01)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    await asyncio.sleep(0)
    assert running.answer.cancelled()
    assert running.unloaded == []


async def test_an_opening_that_was_cancelled_lets_the_other_go_on(free: Callable[[float], None]) -> None:
    running = Running()
    swap = EngineSwap(["left", "right"], running.make_room)
    swap.leave("right")
    assert not await swap.prepared("left", running.candidate("A"))


def test_missing_bytes() -> None:
    """Of the device that lacks most; unknown free memory is enough."""
    cpu = Device("cpu", "cpu", "", None, 4 * GIB)
    gpus = [Device(f"cuda:{n}", "cuda", "", None, None if n else 2 * GIB) for n in range(2)]
    split = MemoryNeed(("cuda:0", "cuda:1"), 3 * GIB)
    assert missing_bytes([], [cpu]) == 0
    assert missing_bytes([MemoryNeed(("cpu",), 4 * GIB)], [cpu]) == 0
    assert missing_bytes([MemoryNeed(("cpu",), 3 * GIB)] * 2, [cpu]) == 2 * GIB
    assert missing_bytes([split, MemoryNeed(("cpu",), GIB)], [cpu, *gpus]) == GIB
    assert missing_bytes([MemoryNeed(("cuda:7",), GIB)], [cpu]) == 0

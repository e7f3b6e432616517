"""Disk work leaves the event loop free, and is never left half done when its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.build.off_loop import in_thread, off_loop
from engines.build.store import EngineStore
from tests.engines.worker.helpers import eventually


class Recorder:
    """A context manager that takes a moment at both ends.

    Attributes:
        begun: the ends that have begun.
        calls: those that are complete.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.calls: list[str] = []
        self.threads: set[int] = set()

    @contextmanager
    def slow(self, fail: bool = False) -> Iterator[int]:
        """Yield 5."""
        self.note("enter")
        if fail:
            raise OSError("no disk")
        try:
            yield 5
        finally:
            self.note("leave")

    def note(self, what: str) -> None:
        """Take 0.1 s, as a slow disk does."""
        self.begun.append(what)
        time.sleep(0.1)
        self.calls.append(what)
        self.threads.add(threading.get_ident())


async def test_both_ends_run_in_threads() -> None:
    recorder = Recorder()
    async with off_loop(recorder.slow()) as value:
        assert value == 5
        assert recorder.calls == ["enter"]
    assert recorder.calls == ["enter", "leave"]
    assert threading.get_ident() not in recorder.threads


@pytest.mark.parametrize("within", [False, True], ids=["while it is entered", "within the block"])
async def test_cancelled_at_any_moment_it_is_left_exactly_once(within: bool) -> None:
    """A second cancellation, while it is left, changes nothing."""
    recorder, entered = Recorder(), asyncio.Event()

    async def work() -> None:
        async with off_loop(recorder.slow()):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    assert await eventually(lambda: entered.is_set() if within else recorder.begun == ["enter"])
    task.cancel()
    assert await eventually(lambda: recorder.begun == ["enter", "leave"])
    assert recorder.calls == ["enter"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.calls == ["enter", "leave"]


async def test_what_entering_raises_is_raised() -> None:
    recorder = Recorder()
    with pytest.raises(OSError, match="no disk"):
        async with off_loop(recorder.slow(fail=True)):
            pass
    assert recorder.calls == ["enter"]


async def test_a_cancelled_task_waits_for_its_thread() -> None:
    recorder = Recorder()
    task = asyncio.create_task(in_thread(recorder.note, "written"))
    assert await eventually(lambda: recorder.begun == ["written"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.calls == ["written"]


async def test_a_build_is_cleaned_up_and_its_lock_released_while_the_loop_runs(tmp_path: Path) -> None:
    """The lock is released in another thread than the one that took it."""
    store, inputs = EngineStore(tmp_path), {"n": "1"}
    for _ in range(3):
        async with off_loop(store.lock(inputs)) as acquired, off_loop(store.building(inputs)) as folder:
            assert acquired
            (folder / "part").touch()
            with store.lock(inputs) as second:
                assert not second
        assert not list((tmp_path / "building").iterdir())

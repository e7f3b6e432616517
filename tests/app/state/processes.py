"""Real processes that use the same files, as two apps do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier, Event
from typing import Any

APPS = ("A", "B")
SECONDS = 60

# Not forked: pytest has threads, and an app that starts knows nothing of another one.
_context = get_context("spawn")


def run_together(app: Callable[..., None], *arguments: Any) -> None:
    """Run `app(name, barrier, *arguments)` in one process for each of `APPS`; an error in one is raised here.

    `barrier.wait()` returns once both processes have called it.
    """
    barrier = _context.Barrier(len(APPS))
    processes = [_context.Process(target=app, args=(name, barrier, *arguments)) for name in APPS]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
    assert [process.exitcode for process in processes] == [0] * len(APPS)


def run_alone(app: Callable[..., None], *arguments: Any) -> None:
    """Run `app(*arguments)` in another process; an error there is raised here."""
    process = _context.Process(target=app, args=arguments)
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0


@contextlib.contextmanager
def running(app: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Run `app(stay, *arguments)` in another process, until the block ends.

    The block begins when the process has called `stay()`, which returns after the block.
    """
    ready, done = _context.Event(), _context.Event()
    process = _context.Process(target=_until_done, args=(app, ready, done, arguments))
    process.start()
    try:
        assert ready.wait(SECONDS)
        yield
    finally:
        done.set()
        process.join(SECONDS)
    assert process.exitcode == 0


def _until_done(app: Callable[..., None], ready: Event, done: Event, arguments: tuple[Any, ...]) -> None:
    def stay() -> None:
        ready.set()
        assert done.wait(SECONDS)

    app(stay, *arguments)


def meet(barrier: Barrier) -> None:
    """Wait for the other process."""
    barrier.wait(SECONDS)

"""Blocking disk work in threads, for asyncio code; it is not left half done when the task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(...)`, called in a thread; a cancelled task waits for its end before it is cancelled.

    `asyncio.to_thread` returns at the cancellation while its thread still writes or deletes: the caller would
    then release a lock or delete a folder under it.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _ended(work)
        raise


@asynccontextmanager
async def off_loop(manager: AbstractContextManager[T]) -> AsyncGenerator[T, None]:
    """Enter and leave a blocking context manager in threads: `async with off_loop(store.building(inputs))`.

    The manager is left exactly when it was entered, also if the task is cancelled in between. It does not see
    the exception of the block. Entering and leaving may happen in different threads.
    """
    entering = asyncio.ensure_future(asyncio.to_thread(manager.__enter__))
    try:
        value = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await _ended(entering)
        if not entering.cancelled() and entering.exception() is None:
            await in_thread(manager.__exit__, None, None, None)
        raise
    try:
        yield value
    finally:
        await in_thread(manager.__exit__, None, None, None)


async def _ended(work: asyncio.Future[T]) -> None:
    """Wait until the thread has ended, however often this task is cancelled meanwhile."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])

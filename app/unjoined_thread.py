"""Run a blocking function in a thread that quitting does not wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_unjoined_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(...)`, or raise its exception.

    For requests over the network: `asyncio.to_thread` lets the end of the app wait for their time limit.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            _call(loop, _set_exception, result, error)
        else:
            _call(loop, _set_result, result, value)

    threading.Thread(target=run, daemon=True, name=getattr(function, "__name__", "unjoined")).start()
    return await result


def _call(loop: asyncio.AbstractEventLoop, *call: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it
        loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]


def _set_result(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _set_exception(result: asyncio.Future[T], error: BaseException) -> None:
    if not result.done():
        result.set_exception(error)

"""A test that exceeds its limit fails by its name, whatever it hangs in.

pytest-timeout keeps the limits; this is how they are enforced here. At the limit a signal raises in the test,
and again from time to time: an exception that is raised in a callback of asyncio is swallowed, and the
teardown may hang too. Where no Python code runs any more, because native code holds the lock, the process
ends a little later with a traceback of every thread; pytest-xdist then names the test and starts another one.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

AGAIN = 0.1
"""The signal is repeated after this part of the limit."""
HARD = 1.4
"""The process ends after this multiple of the limit."""


@dataclass
class Limit:
    """The limit of the test that runs."""

    seconds: float
    armed: bool = False
    in_phase: bool = False
    """Whether setup, call or teardown runs: between them an exception would end pytest itself."""


LIMIT = pytest.StashKey[Limit]()
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep a way to the terminal: output is captured while tests run."""
    config.stash[STDERR] = os.dup(sys.__stderr__.fileno()) if sys.__stderr__ else 2


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Start the limit of a test; pytest-timeout asks for it."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return None  # pytest-timeout's own way
    item.stash[LIMIT] = Limit(settings.timeout)
    _arm(item)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool | None:
    """End the limit of a test."""
    limit = item.stash.get(LIMIT, None)
    if limit is None:
        return None
    signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()
    limit.armed = False
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """The limit may raise in here."""
    with _Phase(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """The limit may raise in here."""
    with _Phase(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """The limit may raise in here; after a failure, with which pytest-timeout ends it, it begins again."""
    limit = item.stash.get(LIMIT, None)
    if limit and not limit.armed:
        _arm(item)
    with _Phase(item):
        return (yield)


def _tasks() -> str:
    """The tasks of the event loop that runs, one a line: the traceback only shows that it waits."""
    try:
        return "".join(f"\n  waits: {task!r}" for task in asyncio.all_tasks())
    except RuntimeError:  # no event loop runs
        return ""


class _Phase:
    def __init__(self, item: pytest.Item) -> None:
        self._limit = item.stash.get(LIMIT, None)

    def __enter__(self) -> None:
        if self._limit:
            self._limit.in_phase = True

    def __exit__(self, *_: object) -> None:
        if self._limit:
            self._limit.in_phase = False


def _arm(item: pytest.Item) -> None:
    limit = item.stash[LIMIT]

    def exceeded(_number: int, _frame: FrameType | None) -> None:
        __tracebackhide__ = True
        if limit.in_phase:
            pytest.fail(f"{item.nodeid} exceeded its limit of {limit.seconds:g} s{_tasks()}")

    limit.armed = True
    faulthandler.dump_traceback_later(limit.seconds * HARD, exit=True, file=item.config.stash[STDERR])
    signal.signal(signal.SIGALRM, exceeded)
    signal.setitimer(signal.ITIMER_REAL, limit.seconds, limit.seconds * AGAIN)

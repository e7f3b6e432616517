"""Tests that hang, die and leave processes: `test_runner.py` runs them and looks at what is reported."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_before() -> None:
    """Its result must not be lost when its runner dies."""
    assert os.getpid()


def test_sleeps() -> None:
    time.sleep(600)


async def test_awaits() -> None:
    await asyncio.Event().wait()


async def test_swallows() -> None:
    """The first signal is lost in a callback."""
    loop = asyncio.get_running_loop()
    loop.call_soon(time.sleep, 5.0)
    await asyncio.Event().wait()


@pytest.fixture
def hanging_teardown() -> Iterator[None]:
    yield
    time.sleep(600)


@pytest.mark.usefixtures("hanging_teardown")
def test_ends_badly() -> None:
    """It passes; its teardown does not end."""
    assert os.getpid()


def test_in_native_code() -> None:
    """Python's lock is held, so that no signal handler runs; and the signal does not end the sleep."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    ctypes.PyDLL(None).sleep(600)


def test_leaves_a_process() -> None:
    """In a session of its own, without its parent."""
    subprocess.run(["sh", "-c", '"$@" &', "sh", *SLEEPER], start_new_session=True, check=True)


def test_dies_with_a_server() -> None:
    """Killed from outside, as for want of memory."""
    subprocess.Popen(SLEEPER, start_new_session=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_after() -> None:
    """It is run though runners have died."""
    assert os.getpid()

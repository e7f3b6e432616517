"""Activity tells a process that works slowly from one that hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engines.environments.activity import Activity

COMPUTES = "print(flush=True)\nwhile True: pass"
HANGS = "import threading\nprint(flush=True)\nthreading.Event().wait()"


@contextmanager
def running(program: str) -> Iterator[Activity]:
    """Run a program until the end of the block."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # its imports are done
        yield Activity(process.pid)
        process.kill()


def longest_pause(activity: Activity, seconds: float) -> float:
    """Return the longest idle time seen in `seconds`: the time that passes is what is measured."""
    end, longest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        time.sleep(0.2)
        longest = max(longest, activity.idle_seconds())
    return longest


def test_a_process_that_computes_is_not_idle() -> None:
    """On a busy machine it may have to wait for a core, but not all the time."""
    with running(COMPUTES) as activity:
        assert longest_pause(activity, 3.0) < 2.5


def test_a_process_that_waits_is_idle() -> None:
    with running(HANGS) as activity:
        while activity.idle_seconds() < 1.0:
            time.sleep(0.1)


def test_a_process_that_is_gone_is_not_idle() -> None:
    """Its end is seen elsewhere."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert longest_pause(Activity(process.pid), 0.5) < 0.5

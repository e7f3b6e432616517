"""Every process that a test starts ends with it: servers, browsers, terminals, apps, workers.

Processes are found by a variable of their environment, which they inherit whatever session or parent they
have. It names the run, the runner of pytest-xdist, and the test.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection, Generator, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.doubles import fork_server
from tests.runner.mark import MARK, runner_mark

GRACE_SECONDS = float(os.environ.get("TRT_PLAYGROUND_TESTS_GRACE", "15"))
"""How long processes may take to end once their test is over; only a test that leaves some waits."""
KILL_SECONDS = 5.0
RUN = pytest.StashKey[str]()
BEFORE = pytest.StashKey[Collection[int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Mark what this runner starts."""
    worker = getattr(config, "workerinput", None)
    config.stash[RUN] = (
        runner_mark(worker["testrunuid"], worker["workerid"])
        if worker
        else runner_mark(_run_identity(config), "main")
    )
    os.environ[MARK] = config.stash[RUN]


@pytest.fixture(autouse=True)
def mark_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Mark what this test starts; what fixtures of a wider scope started is marked as the runner's."""
    run = request.config.stash[RUN]
    os.environ[MARK] = f"{run}{request.node.nodeid}"
    yield
    os.environ[MARK] = run


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Note what runs already."""
    item.stash[BEFORE] = set(psutil.pids())
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """End what the test has left, and fail by its name."""
    try:
        return (yield)
    finally:
        mark = f"{item.config.stash[RUN]}{item.nodeid}"
        found = marked(mark, item.stash[BEFORE])
        if server := fork_server.running():
            found += server.workers(mark)
        if left := end(found, GRACE_SECONDS):
            pytest.fail(f"{item.nodeid} left processes running: {'; '.join(left)}", pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """End what a runner of pytest-xdist has left that ended or was killed itself."""
    del error
    end(marked(runner_mark(node.workerinput["testrunuid"], node.gateway.id)), 0.0)


def marked(prefix: str, but: Collection[int] = ()) -> list[psutil.Process]:
    """The processes whose mark begins with `prefix`, other than this one and those with the numbers `but`."""
    found = []
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            if pid not in but and pid != os.getpid():
                process = psutil.Process(pid)
                if process.environ().get(MARK, "").startswith(prefix) and not _is_tracker(process):
                    found.append(process)
    return found


def _is_tracker(process: psutil.Process) -> bool:
    """Return whether it is multiprocessing's resource tracker, which ends with its parent."""
    return any("multiprocessing.resource_tracker" in argument for argument in process.cmdline())


def end(processes: list[psutil.Process], grace: float) -> list[str]:
    """Kill the processes that do not end within `grace` seconds; returns their command lines."""
    ended = []
    try:
        _wait(processes, grace)
    finally:  # the limit of the test may be reached meanwhile
        for process in filter(_runs, processes):
            with suppress(psutil.Error):
                ended.append(f"{' '.join(process.cmdline())[:200]} (process {process.pid})")
                process.kill()
    _wait(processes, KILL_SECONDS)
    return ended


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    """Wait until none runs. Not psutil's own wait: it reaps children, whose exit codes others wait for."""
    deadline = time.monotonic() + seconds
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _run_identity(config: pytest.Config) -> str:
    with suppress(ValueError):
        if given := config.getoption("testrunuid"):
            return str(given)
    return uuid.uuid4().hex

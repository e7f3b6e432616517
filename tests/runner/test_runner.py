"""Whatever a test does, it fails by its name, what it started is ended, and the others are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.runner.mark import MARK

PROJECT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 0.5
PLUGINS = (
    "xdist.plugin",
    "pytest_timeout",
    "pytest_asyncio.plugin",
    "tests.runner.limits",
    "tests.runner.processes",
    "tests.runner.distribution",
)


@dataclass(frozen=True)
class Run:
    """What a run of the tests of `sabotage.py` gave."""

    output: str
    processes: list[psutil.Process]
    """What it left."""

    def outcome(self, test: str) -> set[str]:
        """What was reported of a test: FAILED, ERROR, PASSED."""
        return set(re.findall(rf"(PASSED|FAILED|ERROR)\s+\S*::{test}\b", self.output))


def run(tmp_path: Path, *arguments: str, seconds: float = 120.0) -> Run:
    """Run the sabotage below another root, as `make test` runs the tests."""
    test = tmp_path / "tests" / "test_sabotage.py"
    test.parent.mkdir()
    test.write_text((PROJECT / "tests" / "runner" / "sabotage.py").read_text())
    plugins = [f"-p{name}" for name in PLUGINS]
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\ntestpaths = tests\n")
    environment = {name: value for name, value in os.environ.items() if name != MARK and "PYTEST" not in name}
    command = [
        sys.executable,
        "-c",
        f"import sys; from tests.runner.__main__ import main; sys.exit(main(sys.argv[1:], {seconds}))",
    ]
    options = ["-rA", "--tb=short", "--timeout", "8", "-p", "no:cacheprovider", *plugins, *arguments]
    before = set(psutil.pids())
    done = subprocess.run(
        [*command, *options],
        cwd=tmp_path,
        env=environment
        | {
            "PYTHONPATH": str(PROJECT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TRT_PLAYGROUND_TESTS_GRACE": str(GRACE_SECONDS),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode, done.stdout + done.stderr
    sleepers = [pid for pid in psutil.pids() if pid not in before and _sleeps(pid)]
    return Run(done.stdout + done.stderr, [psutil.Process(pid) for pid in sleepers])


def _sleeps(pid: int) -> bool:
    try:
        return "time.sleep(600)" in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


@pytest.fixture(scope="module")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("sabotage"))


@pytest.mark.parametrize("name", ["test_before", "test_after"])
def test_the_others_are_run(sabotaged: Run, name: str) -> None:
    """Before and after a runner died."""
    assert sabotaged.outcome(name) == {"PASSED"}


@pytest.mark.parametrize("name", ["test_sleeps", "test_awaits", "test_swallows"])
def test_what_hangs_fails_at_its_limit(sabotaged: Run, name: str) -> None:
    """In a call of the system, in asyncio, and where asyncio swallows the exception."""
    assert sabotaged.outcome(name) == {"FAILED"}
    assert f"::{name} exceeded its limit of 8 s" in sabotaged.output


def test_what_the_event_loop_waits_for_is_named(sabotaged: Run) -> None:
    assert re.search(r"waits: <Task pending .* coro=<test_awaits\(\) running at", sabotaged.output)


def test_a_teardown_that_hangs_is_an_error(sabotaged: Run) -> None:
    assert sabotaged.outcome("test_ends_badly") == {"PASSED", "ERROR"}


@pytest.mark.parametrize("name", ["test_in_native_code", "test_dies_with_a_server"])
def test_a_runner_that_dies_is_replaced(sabotaged: Run, name: str) -> None:
    """The test that it died in is named."""
    assert sabotaged.outcome(name) == {"FAILED"}
    assert re.search(rf"crashed while running '\S*::{name}'", sabotaged.output)


def test_a_process_that_is_left_is_an_error(sabotaged: Run) -> None:
    """It is named, with the test that left it."""
    assert sabotaged.outcome("test_leaves_a_process") == {"PASSED", "ERROR"}
    assert re.search(r"::test_leaves_a_process left processes running: \S*python.*sleep", sabotaged.output)


def test_nothing_is_left(sabotaged: Run) -> None:
    assert sabotaged.processes == []


def test_a_run_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """With what is known so far, and without its processes."""
    stopped = run(tmp_path, "--timeout", "0", "-k", "before or sleeps", seconds=6.0)
    assert "did not end within 6 s" in stopped.output
    assert stopped.processes == []

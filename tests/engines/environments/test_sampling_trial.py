"""A token is sampled in a separate process: it works, fails with the library's words, or hangs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from engines.environments import trial
from engines.environments.recipe import RECIPES
from engines.environments.scripts import sample_token
from engines.environments.trial import try_import, try_sampling
from engines.worker.process_tree import runs
from tests.engines.double_environment import make_environment, packages_of

RECIPE = RECIPES["tensorrt-llm"]


@pytest.fixture(scope="module", params=["1_2", "main"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the double."""
    return make_environment(tmp_path_factory.mktemp("environment") / "made", request.param)


@pytest.fixture(autouse=True)
def with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is one."""
    monkeypatch.setattr(trial, "gpus", lambda: [object()])


def ended(pid: int) -> bool:
    """Whether a process ends within 30 seconds; one that nobody waits for stays as a zombie."""
    until = time.monotonic() + 30
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    while runs(process):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_it_samples_or_says_why_not(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = try_sampling(str(python), RECIPE)
    assert (found.good, found.skipped) == (True, False), found.detail
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "no-nvcc")
    found = try_sampling(str(python), RECIPE)
    assert not found.good
    assert "It can be imported, but sampling a token failed: RequestError: " in found.words
    assert "Could not find nvcc" in found.words
    assert "Install cuda-toolkit-13-1 and set CUDA_HOME" in found.words
    monkeypatch.setattr(trial, "gpus", list)
    found = try_sampling(str(python), RECIPE)
    assert (found.good, found.skipped) == (True, True)


def test_a_failure_at_the_start_has_the_words_of_the_library(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "no-slots")
    found = try_sampling(str(python), RECIPE)
    assert not found.good
    assert "All nodes which are allocated for this job are already filled." in found.words
    assert "TLLM_WORKER_USE_SINGLE_PROCESS=1" in found.words


def test_one_that_hangs_is_killed_with_its_session(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    package = packages_of(python) / "tensorrt_llm" / "executor" / "base_worker.py"
    text = package.read_text()
    starts = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
    )
    future = "from __future__ import annotations\n"
    package.write_text(text.replace(future, f"{future}{starts}", 1))
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "hang-at-load")
    try:
        found = try_sampling(str(python), RECIPE, idle_seconds=6.0)
    finally:
        package.write_text(text)
    assert not found.good
    assert "hangs: it has done nothing for 6 s" in found.words
    assert all(ended(pid) for pid in map(int, pids.read_text().split()))


def test_telemetry_is_off_in_every_trial(python: Path, tmp_path: Path) -> None:
    package = tmp_path / "library"
    package.mkdir()
    probe = "import os\nassert os.environ['TRTLLM_NO_USAGE_STATS'] == '1'\n"
    (package / "telemetry_probe.py").write_text(probe)
    (packages_of(python) / "probe.pth").write_text(f"{package}\n")
    assert try_import(str(python), "telemetry_probe").good


def test_the_script_tells_the_first_error_of_a_chain() -> None:
    """The proxy of the library raises another one from it."""
    outer = RuntimeError("Executor worker returned error")
    outer.__cause__ = ValueError("Unknown\narchitecture")
    assert sample_token.cause(outer) == "ValueError: Unknown architecture"
    assert sample_token.cause(KeyError()) == "KeyError"


def test_the_script_is_alone_in_its_folder_and_has_the_prefix_of_the_reader() -> None:
    """Its folder is on the path of the process: a module there would hide one of the library's."""
    names = {path.name for path in trial.SCRIPT.parent.iterdir()} - {"__pycache__"}
    assert names == {"__init__.py", trial.SCRIPT.name}
    assert sample_token.PREFIX == trial.PREFIX


def test_a_shutdown_that_hangs_after_the_token_is_no_failure_of_the_sampler(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "hang-at-shutdown")
    found = try_sampling(str(python), RECIPE, idle_seconds=6.0)
    assert found.good, found.words


def test_what_outlives_the_process_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process of MPI whose parent failed."""
    pid = tmp_path / "pid"
    script = tmp_path / "script.py"
    script.write_text(
        "import subprocess, sys\n"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], **quiet)\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "raise SystemExit('failed')\n"
    )
    monkeypatch.setattr(trial, "SCRIPT", script)
    found = try_sampling(sys.executable, RECIPE)
    assert found.words == "It can be imported, but sampling a token failed: failed."
    assert ended(int(pid.read_text()))

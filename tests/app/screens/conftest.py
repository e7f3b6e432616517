"""Fixtures: TensorRT-LLM's double in a separate environment, a simulated GPU, a ceiling for a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.state.settings.paths import environment_folder
from engines.environments.environment import Environment, save
from engines.environments.trial import locate
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment


@pytest.fixture(scope="session")
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the double that no test changes: making one takes a second."""
    return located(make_environment(tmp_path_factory.mktemp("trtllm") / "shared", "1_2"))


@pytest.fixture
def simulated_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a GPU."""
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))


@pytest.fixture
def environment(shared_environment: Environment, simulated_gpu: None) -> Path:
    """Register the shared environment and simulate a GPU; returns the interpreter."""
    save(environment_folder(), shared_environment)
    return Path(shared_environment.python)


@pytest.fixture
def own_environment(tmp_path: Path, simulated_gpu: None) -> Path:
    """Register an environment that the test may change, and simulate a GPU; returns the interpreter."""
    python = make_environment(tmp_path / "trtllm", "1_2")
    save(environment_folder(), located(python))
    return python


def located(python: Path) -> Environment:
    """Return the environment of an interpreter with the double."""
    found = locate("tensorrt-llm", str(python), "tensorrt_llm", managed=False)
    assert found is not None
    return found


@pytest.fixture
def bound_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate a tiny model as a large one, which neither fits into the cache nor is bound by launches."""
    monkeypatch.setattr("engines.plan.hardware.hardware.last_level_cache", lambda: None)
    monkeypatch.setattr("engines.plan.estimate.estimate.SHORTEST_STEP", 0.0)

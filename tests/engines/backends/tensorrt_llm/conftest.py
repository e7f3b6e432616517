"""Environments with the double of TensorRT-LLM, one for each release."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.double_environment import make_environment


@pytest.fixture(scope="session")
def with_engines(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with release 1.2, which builds TensorRT engines."""
    return str(make_environment(tmp_path_factory.mktemp("trtllm") / "1.2", "1_2"))


@pytest.fixture(scope="session")
def without_engines(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with the main branch, which has only the PyTorch-based class."""
    return str(make_environment(tmp_path_factory.mktemp("trtllm") / "main", "main"))


@pytest.fixture(params=["1_2", "main"])
def python(request: pytest.FixtureRequest) -> str:
    """The interpreters of both environments, one after the other."""
    name = "with_engines" if request.param == "1_2" else "without_engines"
    return str(request.getfixturevalue(name))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log file of the worker."""
    return tmp_path / "worker.log"

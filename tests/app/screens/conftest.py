"""A fixture with TensorRT-LLM: its double in a separate environment, and a simulated GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.state.settings.paths import environment_folder
from engines.environments.environment import save
from engines.environments.trial import locate
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register an environment with the double and simulate a GPU; returns the interpreter."""
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))
    python = make_environment(tmp_path / "trtllm", "1_2")
    found = locate("tensorrt-llm", str(python), "tensorrt_llm", managed=False)
    assert found is not None
    save(environment_folder(), found)
    return python

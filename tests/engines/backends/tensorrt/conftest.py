"""Plans that the real builder makes, and workers with a double of the runtime."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.backends.tensorrt.backend import TensorRTBackend
from engines.build.spec import CONTEXT, TARGET, EngineSpec
from tests.doubles.recording_report import RecordingReport
from tests.engines.tiny import make_checkpoint

DOUBLE = Path(__file__).parents[3] / "doubles" / "tensorrt_runtime"
BuildPlan = Callable[..., tuple[Path, dict[str, object], RecordingReport]]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("trt-llama") / "llama", "llama")


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("trt-gpt2") / "gpt2", "gpt2")


def spec_of(checkpoint: Path, precision: str, target: str = "sm89", context: int = 256) -> EngineSpec:
    """Return the spec of an engine for one architecture."""
    options = {TARGET: target, CONTEXT: str(context)}
    return EngineSpec(str(checkpoint), "tensorrt", precision, "cuda:0", context=context, options=options)


def build_plan(
    checkpoint: Path, precision: str, target: str, folder: Path
) -> tuple[Path, dict[str, object], RecordingReport]:
    """Build a plan with the real builder, and return its folder, its facts and what was reported."""
    report = RecordingReport()
    facts = TensorRTBackend().prepare(spec_of(checkpoint, precision, target), checkpoint, folder, report)
    return folder, facts, report


@pytest.fixture
def build(tmp_path: Path) -> BuildPlan:
    """Builds a plan in a folder of this test."""

    def make(
        checkpoint: Path, precision: str, target: str = "sm89"
    ) -> tuple[Path, dict[str, object], RecordingReport]:
        folder = tmp_path / f"{checkpoint.name}-{precision}-{target}"
        folder.mkdir()
        return build_plan(checkpoint, precision, target, folder)

    return make


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let workers find the double of the runtime, and one GPU of compute capability 8.9."""
    use_double(monkeypatch, tmp_path / "graphs")


def use_double(patch: pytest.MonkeyPatch, graphs: Path, capability: str = "8.9") -> None:
    """Let workers that start from now on import the double; it needs this project's packages."""
    places = [str(DOUBLE), str(DOUBLE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    patch.setenv("PYTHONPATH", os.pathsep.join(places))
    patch.setenv("TENSORRT_DOUBLE_GRAPHS", str(graphs))
    patch.setenv("TENSORRT_DOUBLE_GPU", capability)

"""The real builder of TensorRT for RTX: every precision for the GPUs that people have."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from engines.backends.tensorrt import plan_file
from engines.backends.tensorrt.backend import FLOATS, TensorRTBackend
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.onnx.folder import DATA, GRAPH
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.tensorrt.conftest import BuildPlan, build_plan, spec_of
from tests.families import make_checkpoint

TARGETS = ("sm86", "sm89", "sm120")
DEMO_TARGETS = {
    "fp32": "sm86", "bf16": "sm120", "fp16": "sm89", "int8": "sm89", "int4": "sm86", "fp8": "sm120",
}  # fmt: skip
DemoPlan = Callable[[str], tuple[Path, dict[str, object], RecordingReport]]


@pytest.fixture(scope="module")
def demo_plan(tmp_path_factory: pytest.TempPathFactory) -> DemoPlan:
    """Builds a plan of the demo checkpoint in a precision, for one of the targets, once."""

    @cache
    def make(precision: str) -> tuple[Path, dict[str, object], RecordingReport]:
        return build_plan(
            CHECKPOINT, precision, DEMO_TARGETS[precision], tmp_path_factory.mktemp(f"demo-{precision}")
        )

    return make


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_precision_builds(
    family: str, precision: str, target: str, build: BuildPlan, request: pytest.FixtureRequest
) -> None:
    checkpoint = request.getfixturevalue(family)
    if (precision, target) == ("fp8", "sm86"):
        with pytest.raises(EngineError, match=r"FP8 needs compute capability 8\.9") as refused:
            build(checkpoint, precision, target)
        assert refused.value.hint == "Choose INT8."
        return
    folder, facts, _ = build(checkpoint, precision, target)
    assert facts["target"] == target
    assert facts["weight_bytes"] == (folder / plan_file.PLAN).stat().st_size > 100_000
    details = plan_file.read_details(folder)
    assert (details.module, details.target, details.context) == ("tensorrt_rtx", target, 256)


@pytest.mark.parametrize("precision", FLOATS)
def test_the_demo_checkpoint_builds_in_every_precision(precision: str, demo_plan: DemoPlan) -> None:
    folder, _, _ = demo_plan(precision)
    assert (folder / plan_file.PLAN).stat().st_size > 10_000_000


@pytest.mark.parametrize(
    "family", ["command-r", "gemma3-text", "glm4", "ministral3-text", "nemotron-mini", "phi4-mini"]
)
def test_families_that_differ_most_from_llama_build(family: str, build: BuildPlan, tmp_path: Path) -> None:
    """Windows, RoPE of a part of a head or of neighbours, parallel blocks, scales, norms with an offset."""
    folder, _, _ = build(make_checkpoint(family, tmp_path / "checkpoint"), "fp16")
    assert (folder / plan_file.PLAN).stat().st_size > 100_000


@pytest.mark.parametrize(
    ("family", "lack"),
    [("gemma2", "a soft cap of the attention scores"), ("gemma4-text", "inputs for each layer")],
)
def test_families_that_no_plan_is_built_for_are_refused(
    family: str, lack: str, build: BuildPlan, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=lack):
        build(make_checkpoint(family, tmp_path / "checkpoint"), "fp16")


def test_the_demo_checkpoint_builds(demo_plan: DemoPlan) -> None:
    """With phases that are shown, and the layers for the inspector."""
    folder, facts, report = demo_plan("fp16")
    assert report.stages == ["convert", "build", "save"]
    assert report.progresses[-1][0] == report.progresses[-1][1] > 5_000_000
    assert "Building engine" in report.lines
    assert any(line.startswith("Optimizing graph") for line in report.lines)
    layers = json.loads((folder / plan_file.LAYERS).read_text())["layers"]
    assert len(layers) == facts["layers"] > 500
    kinds = {layer["type"] for layer in layers}
    assert {"KV_CACHE_UPDATE", "ROTARY_EMBEDDING", "ATTENTION_INPUT"} <= kinds
    assert any(layer["name"].startswith("layers.0/attention/query") for layer in layers)
    assert (folder / GRAPH).exists()
    assert not (folder / DATA).exists(), "the plan has the weights"
    smaller, _, _ = demo_plan("int8")
    assert (smaller / plan_file.PLAN).stat().st_size < (folder / plan_file.PLAN).stat().st_size


def test_gpus_of_data_centres_are_refused(tmp_path: Path, llama: Path) -> None:
    with pytest.raises(EngineError, match="not on those of data centres such as Hopper") as refused:
        TensorRTBackend().prepare(spec_of(llama, "fp16", "sm90"), llama, tmp_path, RecordingReport())
    assert "sm89" in refused.value.hint

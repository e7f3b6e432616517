"""How engines of the store are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state.prepare.engine_titles import stored_checkpoint, stored_title
from engines.build.spec import CALIBRATED, RECIPE, EngineSpec
from engines.build.stored_engine import Manifest, StoredEngine
from engines.demo import CHECKPOINT


def test_what_differs_is_in_the_title() -> None:
    options = {"calibration": "~/texts/mine\n.txt", "tensor_parallel_size": "2"}
    assert stored_title(EngineSpec("a", "openvino", "int8")) == "OpenVINO int8"
    spec = EngineSpec("a", "tensorrt-llm", "fp8", "cuda:0", options=options)
    title = stored_title(spec)
    assert title.startswith("TensorRT-LLM fp8 on 2 GPUs, mine")
    assert "\n" not in title
    assert stored_title(EngineSpec("a", "openvino", "int4")) == "OpenVINO int4, not calibrated"
    assert stored_title(EngineSpec("a", "openvino", "int4", options={RECIPE: CALIBRATED})) == "OpenVINO int4"
    assert stored_title(EngineSpec("a", "from-the-future", "int1")) == "from-the-future int1"


@pytest.mark.parametrize(
    ("checkpoint", "name"),
    [
        (str(CHECKPOINT), "demo"),
        ("/opt/other/engines/demo/checkpoint", "demo"),
        ("/models/checkpoint", "checkpoint"),
        (f"/cache/models--org--name/snapshots/{'a' * 40}", "org/name"),
        ("/models/m \x1b[31mred\n", "m �[31mred"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
    ],
)
def test_checkpoints_are_named_as_the_user_knows_them(checkpoint: str, name: str) -> None:
    entry = StoredEngine("0", Path("/nowhere"), Manifest(EngineSpec(checkpoint, "openvino", "int8"), {}, {}))
    assert stored_checkpoint(entry) == name

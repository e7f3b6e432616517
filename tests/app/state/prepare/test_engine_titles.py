"""How engines of the store are told apart."""

from __future__ import annotations

from app.state.prepare.engine_titles import stored_title
from engines.build.spec import EngineSpec


def test_what_differs_is_in_the_title() -> None:
    options = {"calibration": "~/texts/mine\n.txt", "tensor_parallel_size": "2"}
    assert stored_title(EngineSpec("a", "openvino", "int8")) == "OpenVINO int8"
    spec = EngineSpec("a", "tensorrt-llm", "fp8", "cuda:0", options=options)
    title = stored_title(spec)
    assert title.startswith("TensorRT-LLM fp8 on 2 GPUs, mine")
    assert "\n" not in title
    assert stored_title(EngineSpec("a", "from-the-future", "int1")) == "from-the-future int1"

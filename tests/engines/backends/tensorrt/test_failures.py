"""Texts of the real library, as it wrote them, and what the user reads instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorrt_rtx as trt

from engines.backends.tensorrt.failures import build_failure, load_failure
from engines.backends.tensorrt.library import logger
from tests.engines.backends.tensorrt.conftest import BuildPlan

OTHER_GPU = (
    "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine cannot run on this GPU, "
    "which has compute capability 9.0. Supported compute capabilities: 8.9. TensorRT-RTX does not support "
    "this compute capability, so the engine cannot be rebuilt for it.)"
)
"""As printed on one H100."""
NO_DRIVER = "CUDA initialization failure with error: 35. cudaError 35: CUDA driver version is insufficient"
RELEASE = (
    "The engine plan file is not compatible with this version of TensorRT, expecting library version 1.7"
)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (OTHER_GPU, "other-gpu", "The engine's plan was built for another GPU."),
        (NO_DRIVER, "no-gpu", "TensorRT finds no usable NVIDIA driver on this machine."),
        (RELEASE, "other-release", "The engine's plan was built by another release of TensorRT."),
        (
            "cudaError 2: out of memory",
            "out-of-memory",
            "The GPU has not enough free memory for this engine.",
        ),
        ("something else", "load-failed", "TensorRT cannot load the engine: something else."),
    ],
)
def test_reasons_of_a_failed_load(text: str, code: str, message: str) -> None:
    found = load_failure([text])
    assert (found.code, found.message) == (code, message)
    assert found.hint


def test_a_load_without_a_reason() -> None:
    assert load_failure([]).message == "TensorRT cannot load the engine: the library gave no reason."
    assert (
        build_failure("It cannot be built", []).message == "It cannot be built: the library gave no reason."
    )


@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_what_the_real_runtime_says_of_damaged_plans(damage: str, build: BuildPlan, llama: Path) -> None:
    """It tells without a GPU; a whole plan is refused for the missing driver only."""
    folder, _, _ = build(llama, "fp16")
    plan = (folder / "model.plan").read_bytes()
    log, messages = logger()
    for data, code in (
        (plan, "no-gpu"),
        (b"x" * 5000 if damage == "garbage" else plan[:9999], "load-failed"),
    ):
        messages.clear()
        assert trt.Runtime(log).deserialize_cuda_engine(data) is None
        found = load_failure(messages.errors)
        assert found.code == code
        assert damage == "garbage" or found.message

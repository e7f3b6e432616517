"""The device that a backend runs on."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import pytest

from engines.plan.hardware import placement
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of, gpu_choices, torch_sees_gpus

CPU = Device("cpu", "cpu", "A processor", 1 << 34, 1 << 34)
H200 = Device("cuda:0", "cuda", "NVIDIA H200", 1 << 37, 1 << 37, compute_capability=(9, 0))
OLD = Device("cuda:0", "cuda", "Tesla K80", 1 << 33, 1 << 33, compute_capability=(3, 7))


def test_without_a_gpu_every_backend_gets_the_cpu() -> None:
    assert device_of("tensorrt-llm", CPU, None) is CPU
    assert device_of("pytorch", CPU, None) is CPU


@pytest.mark.parametrize(
    ("backend", "expected"),
    [("pytorch", H200), ("compiled", H200), ("openvino", CPU), ("onnxruntime", CPU), ("tensorrt-llm", H200)],
)
def test_a_backend_gets_the_gpu_that_it_can_use(
    backend: str, expected: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "torch_sees_gpus", lambda: True)
    assert device_of(backend, CPU, H200) is expected


def test_a_build_of_pytorch_without_cuda_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_sees_gpus.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda _: "2.13.0+cpu")
    assert device_of("pytorch", CPU, H200) is CPU
    torch_sees_gpus.cache_clear()


def test_a_backend_that_needs_a_gpu_gets_one_that_is_too_old() -> None:
    assert device_of("tensorrt-llm", CPU, OLD) is OLD


def test_weights_are_split_over_gpus_of_one_model() -> None:
    """1, 2, 4 …, never over MIG instances, and only divisors of the number of KV heads."""
    several = [replace(H200, name=f"cuda:{index}") for index in range(6)]
    assert gpu_choices("tensorrt-llm", several) == (1, 2, 4)
    assert gpu_choices("tensorrt-llm", several, kv_heads=8) == (1, 2, 4)
    assert gpu_choices("tensorrt-llm", several, kv_heads=6) == (1, 2)
    assert gpu_choices("tensorrt-llm", several, kv_heads=1) == (1,)
    assert gpu_choices("tensorrt-llm", [H200, OLD, H200]) == (1,)
    assert gpu_choices("tensorrt-llm", [replace(one, is_mig=True) for one in several]) == (1,)
    assert gpu_choices("tensorrt-llm", []) == gpu_choices("openvino", several) == (1,)
    assert gpu_choices("pytorch", several, kv_heads=1) == (1, 2, 4)  # whole layers

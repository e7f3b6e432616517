"""Estimates for weights split over several GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.estimate.estimate import estimate
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.split import across_gpus, per_gpu
from tests.engines.plan.folders import write_checkpoint

H200 = Device("cuda:0", "cuda", "NVIDIA H200", 1 << 37, 1 << 37, bandwidth=4.9e12)


def test_weights_and_cache_are_split_and_the_runtime_is_on_each_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("engines.plan.estimate.estimate.SHORTEST_STEP", 0.0)  # the model is tiny
    checkpoint = read_checkpoint(write_checkpoint(tmp_path))
    whole = estimate(checkpoint, "tensorrt-llm", "bf16", "auto", 512, H200)
    half = per_gpu(whole, 2)
    assert (half.weights, half.kv, half.other) == (whole.weights // 2, whole.kv // 2, whole.other)
    assert half.ceiling is not None
    assert whole.ceiling is not None
    assert half.ceiling > 1.9 * whole.ceiling
    assert per_gpu(whole, 1) == whole
    assert per_gpu(whole, 2, at_once=False).ceiling == whole.ceiling
    both = across_gpus(whole, 2)
    assert both.loaded == whole.loaded + whole.other

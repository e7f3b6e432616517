"""Estimates of memory and decode speed compared with measured or published figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.checkpoint.shape import DecoderShape, KVLayer
from engines.plan.checkpoint.weights import Weights
from engines.plan.estimate.estimate import bytes_read_per_token, estimate, estimate_weight_bytes, parts
from engines.plan.estimate.memory_fit import memory_fit
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import resolved_kv
from engines.worker.values import MemoryUsage
from tests.engines.plan.folders import write_checkpoint

GB = 10**9


def machine(free: int | None) -> Device:
    return Device("cpu", "cpu", "Some CPU", free, free)


def gpu(free: int | None, bandwidth: float | None = None) -> Device:
    return Device("cuda:0", "cuda", "NVIDIA H200", free, free, bandwidth=bandwidth)


def weights_of(parameters: int, table: int, *, tied: bool, size: int, dtype: str) -> Weights:
    """Return weights without experts whose embedding and head have `table` parameters each."""
    return Weights(
        parameters=parameters,
        embedding=table,
        head=table,
        tied=tied,
        expert=0,
        bytes_on_disk=size,
        dtype=dtype,
    )


@pytest.fixture
def small(tmp_path: Path) -> Checkpoint:
    """153 M parameters in fp32, 12 layers of 768, 4 KV heads of 64: the measured shape."""
    shape = DecoderShape(
        layers=12,
        hidden=768,
        heads=12,
        kv_heads=4,
        head_dim=64,
        intermediate=2048,
        vocabulary=32_000,
        max_positions=2048,
        kv_layers=(KVLayer(4, 64, 64),) * 12,
        active_expert_share=1.0,
    )
    weights = weights_of(153_000_000, 32_000 * 768, tied=False, size=612_000_000, dtype="fp32")
    return replace(read_checkpoint(write_checkpoint(tmp_path)), shape=shape, weights=weights)


@pytest.fixture
def llama_8b(small: Checkpoint) -> Checkpoint:
    shape = DecoderShape(
        layers=32,
        hidden=4096,
        heads=32,
        kv_heads=8,
        head_dim=128,
        intermediate=14_336,
        vocabulary=128_256,
        max_positions=131_072,
        kv_layers=(KVLayer(8, 128, 128),) * 32,
        active_expert_share=1.0,
    )
    weights = weights_of(8_030_261_248, 128_256 * 4096, tied=False, size=16 * GB, dtype="bf16")
    return replace(small, shape=shape, weights=weights)


@pytest.mark.parametrize(
    ("precision", "resident", "build"),
    [("fp32", 1343, 1238), ("bf16", 709, 1290), ("int8", 470, 972), ("int4", 387, 929)],
)
def test_openvino_memory_agrees_with_measurements(
    small: Checkpoint, precision: str, resident: int, build: int
) -> None:
    found = estimate(small, "openvino", precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(resident, rel=0.12)
    assert found.build_host / 1e6 == pytest.approx(build, rel=0.2)


@pytest.mark.parametrize(("precision", "resident"), [("fp32", 883), ("bf16", 1216)])
def test_pytorch_memory_agrees_with_measurements(small: Checkpoint, precision: str, resident: int) -> None:
    found = estimate(small, "pytorch", precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(resident, rel=0.12)
    assert found.build_host == 0


def test_the_parts_add_up_to_the_peak_where_nothing_is_converted(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 1024, machine(None))
    assert found.peak == found.weights + found.kv + found.other


@pytest.mark.parametrize(
    ("precision", "tokens_per_second"), [("bf16", 320), ("fp8", 598), ("int4-awq", 1026)]
)
def test_speed_limits_of_an_h200_agree_with_published_ones(
    llama_8b: Checkpoint, precision: str, tokens_per_second: int
) -> None:
    read = bytes_read_per_token(llama_8b, precision, "bf16", 0)
    assert 4.8e12 / read == pytest.approx(tokens_per_second, rel=0.01)


def test_kv_bytes_lower_the_speed_limit(llama_8b: Checkpoint) -> None:
    full = estimate(llama_8b, "pytorch", "bf16", "bf16", 4096, gpu(None, 4.8e12))
    assert full.bytes_per_token == bytes_read_per_token(llama_8b, "bf16", "bf16", 0) + 128 * 1024 * 4096
    assert full.ceiling == pytest.approx(4.8e12 / full.bytes_per_token)
    assert full.kv == 128 * 1024 * 4096


def test_without_a_bandwidth_there_is_no_speed_limit(small: Checkpoint) -> None:
    assert estimate(small, "openvino", "int8", "u8", 1024, machine(None)).ceiling is None
    given = estimate(small, "openvino", "int8", "u8", 1024, machine(None), bandwidth=20e9)
    assert given.ceiling == pytest.approx(20e9 / given.bytes_per_token)


def test_the_kv_cache_is_rounded_up_to_whole_blocks_and_two_spare_ones(small: Checkpoint) -> None:
    assert estimate(small, "openvino", "int8", "u8", 33, machine(None)).kv == small.kv_bytes(128, 1, 8)


@pytest.mark.parametrize(
    ("free", "reason", "remedy"),
    [
        (7 * GB, "the weights alone take 14.96 GiB", "lower precision"),
        (17 * GB, "runtime and activations", "shorter context"),
        (18 * GB, "KV cache", "shorter context"),
    ],
)
def test_the_part_that_does_not_fit_is_named_with_a_remedy(
    llama_8b: Checkpoint, free: int, reason: str, remedy: str
) -> None:
    found = memory_fit(estimate(llama_8b, "pytorch", "bf16", "bf16", 8192, gpu(free)))
    assert found.state == "does not fit"
    assert reason in found.reason
    assert "cuda:0" in found.reason
    assert remedy in found.remedy


def test_a_lower_kv_precision_is_proposed_where_the_backend_has_one(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "f32", 60_000, machine(1_500_000_000))
    assert "f16" in memory_fit(found).remedy
    assert estimate(small, "openvino", "int8", "u8", 64, machine(None)).smaller_kv == ""


def test_runtime_that_does_not_fit_is_named(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 64, machine(200_000_000))
    assert "runtime and activations" in memory_fit(found).reason


def test_converting_that_does_not_fit_is_named(small: Checkpoint) -> None:
    found = memory_fit(estimate(small, "pytorch", "bf16", "bf16", 64, machine(1_000_000_000)))
    assert "converting the weights" in found.reason
    assert "FP32" in found.remedy


def test_a_build_that_does_not_fit_the_host_is_named(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 64, machine(700_000_000))
    assert found.peak < 700_000_000 < found.build_host
    assert "Building needs" in memory_fit(found).reason


def test_a_build_for_a_gpu_needs_host_memory(small: Checkpoint) -> None:
    found = estimate(small, "unknown", "int8", "f16", 64, gpu(10 * GB), host=machine(GB))
    assert "Building needs" in memory_fit(found).reason


def test_the_other_side_counts(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 64, machine(2 * GB))
    assert memory_fit(found).state == "fits"
    assert "Both sides together" in memory_fit(found, other_side_bytes=2 * GB).reason


def test_a_margin_below_the_error_of_the_estimate_is_tight(small: Checkpoint) -> None:
    found = estimate(small, "pytorch", "fp32", "auto", 64, machine(1_000_000_000))
    assert found.peak < 1_000_000_000 < found.peak * 1.2
    assert memory_fit(found).state == "tight"


def test_enough_or_unknown_memory_fits(small: Checkpoint) -> None:
    for free in (10 * GB, None):
        found = memory_fit(estimate(small, "openvino", "int8", "auto", 2048, machine(free)))
        assert (found.state, found.reason) == ("fits", "")


@pytest.fixture
def compiled(small: Checkpoint) -> Checkpoint:
    """124.7 M parameters with a tied head: the checkpoint that the compiled engine was measured with."""
    weights = weights_of(124_669_000, 32_000 * 768, tied=True, size=498_700_000, dtype="fp32")
    return replace(small, weights=weights)


@pytest.mark.parametrize(
    ("precision", "peak", "build"),
    [("fp32", 926, 981), ("bf16", 1116, 1116), ("int8", 645, 1116), ("int4", 636, 1116)],
)
def test_compiled_memory_agrees_with_measurements(
    compiled: Checkpoint, precision: str, peak: int, build: int
) -> None:
    found = estimate(compiled, "compiled", precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(peak, rel=0.13)
    assert found.build_host / 1e6 == pytest.approx(build, rel=0.2)


@pytest.mark.parametrize(
    ("backend", "precision", "peak"),
    [("pytorch", "fp32", 883), ("pytorch", "bf16", 635), ("compiled", "int8", 754)],
)
def test_random_weights_are_quantised_but_not_converted(
    compiled: Checkpoint, backend: str, precision: str, peak: int
) -> None:
    weights = replace(compiled.weights, bytes_on_disk=249_337_600, dtype="bf16")
    shape = replace(compiled, weights=weights, is_random=True)
    found = estimate(shape, backend, precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(peak, rel=0.12)


def test_parts_have_the_estimate_and_the_actual_memory(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 1024, machine(None))
    actual = {part.name: part.actual for part in parts(found, MemoryUsage(weights=150, kv=20), 500)}
    assert actual == {"weights": 150, "KV cache": 20, "other": 330, "total": 500}
    assert sum(part.estimated for part in parts(found, None, None)[:3]) == found.loaded
    assert {part.actual for part in parts(found, None, None)} == {None}


def test_a_quantised_checkpoint_has_its_size_on_disk(small: Checkpoint) -> None:
    quantised = replace(small, quantisation=Quantisation("gptq", 4, "…"))
    assert estimate_weight_bytes(quantised, "bf16") == quantised.weight_bytes


def test_a_tied_table_is_counted_once_in_memory_and_read_as_the_head(small: Checkpoint) -> None:
    table = small.weights.head
    tied = replace(small, weights=replace(small.weights, parameters=153_000_000 - table, tied=True))
    assert estimate_weight_bytes(tied, "fp32") == 4 * (153_000_000 - table)
    assert bytes_read_per_token(tied, "fp32", "f32", 0) == 4 * (153_000_000 - table)


@pytest.mark.parametrize(
    ("backend", "precision", "asked", "found"),
    [
        ("pytorch", "fp32", "auto", "f32"),
        ("pytorch", "bf16", "auto", "bf16"),
        ("pytorch", "fp16", "auto", "f16"),
        ("openvino", "int8", "auto", "u8"),
        ("openvino", "bf16", "auto", "bf16"),
        ("compiled", "int4", "auto", "bf16"),
        ("unknown", "int4", "auto", "f16"),
        ("openvino", "int8", "f32", "f32"),
    ],
)
def test_what_auto_means_for_the_kv_cache(backend: str, precision: str, asked: str, found: str) -> None:
    assert resolved_kv(backend, precision, asked) == found


def test_unknown_names_are_programming_errors(small: Checkpoint) -> None:
    with pytest.raises(KeyError):
        estimate(small, "openvino", "int3", "auto", 64, machine(None))
    with pytest.raises(KeyError):
        estimate(small, "openvino", "int8", "u4", 64, machine(None))

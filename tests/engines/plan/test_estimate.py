"""Memory by part and the ceiling of decode speed, against figures that were measured or published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.plan.checkpoint import Checkpoint, read_checkpoint
from engines.plan.estimate import bytes_read_per_token, estimate, estimate_weight_bytes, resolved_kv
from engines.plan.hardware import Device
from engines.plan.quantisation import Quantisation
from engines.plan.shape import DecoderShape
from engines.plan.weights import Weights
from tests.engines.plan.folders import write_checkpoint

GB = 10**9


def machine(free: int | None) -> Device:
    return Device("cpu", "cpu", "Some CPU", free, free)


def gpu(free: int | None, bandwidth: float | None = None) -> Device:
    return Device("cuda:0", "cuda", "NVIDIA H200", free, free, bandwidth=bandwidth)


@pytest.fixture
def small(tmp_path: Path) -> Checkpoint:
    """153 M parameters in fp32, 12 layers of 768, 4 KV heads of 64: the shape that was measured."""
    shape = DecoderShape(12, 768, 12, 4, 64, 2048, 32_000, 2048, 12, 0, None, 1.0)
    table = 32_000 * 768
    weights = Weights(153_000_000, table, table, False, 0, 612_000_000, "fp32")
    return replace(read_checkpoint(write_checkpoint(tmp_path)), shape=shape, weights=weights)


@pytest.fixture
def llama_8b(small: Checkpoint) -> Checkpoint:
    shape = DecoderShape(32, 4096, 32, 8, 128, 14_336, 128_256, 131_072, 32, 0, None, 1.0)
    table = 128_256 * 4096
    return replace(
        small, shape=shape, weights=Weights(8_030_261_248, table, table, False, 0, 16 * GB, "bf16")
    )


@pytest.mark.parametrize(
    ("precision", "resident", "build"),
    [("fp32", 1343, 1238), ("bf16", 709, 1290), ("int8", 470, 972), ("int4", 387, 929)],
)
def test_openvino_memory_agrees_with_what_was_measured(
    small: Checkpoint, precision: str, resident: int, build: int
) -> None:
    found = estimate(small, "openvino", precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(resident, rel=0.12)
    assert found.build_host / 1e6 == pytest.approx(build, rel=0.2)


@pytest.mark.parametrize(("precision", "resident"), [("fp32", 883), ("bf16", 1216)])
def test_pytorch_memory_agrees_with_what_was_measured(
    small: Checkpoint, precision: str, resident: int
) -> None:
    found = estimate(small, "pytorch", precision, "auto", 256, machine(None))
    assert found.peak / 1e6 == pytest.approx(resident, rel=0.12)
    assert found.build_host == 0


def test_the_parts_add_up_to_the_peak_where_nothing_is_converted(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 1024, machine(None))
    assert found.peak == found.weights + found.kv + found.other


@pytest.mark.parametrize(
    ("precision", "tokens_per_second"), [("bf16", 320), ("fp8", 598), ("int4-awq", 1026)]
)
def test_ceilings_of_an_h200_are_the_published_ones(
    llama_8b: Checkpoint, precision: str, tokens_per_second: int
) -> None:
    read = bytes_read_per_token(llama_8b, precision, "bf16", 0)
    assert 4.8e12 / read == pytest.approx(tokens_per_second, rel=0.01)


def test_kv_bytes_lower_the_ceiling(llama_8b: Checkpoint) -> None:
    full = estimate(llama_8b, "pytorch", "bf16", "bf16", 4096, gpu(None, 4.8e12))
    assert full.bytes_per_token == bytes_read_per_token(llama_8b, "bf16", "bf16", 0) + 128 * 1024 * 4096
    assert full.ceiling == pytest.approx(4.8e12 / full.bytes_per_token)
    assert full.kv == 128 * 1024 * 4096


def test_without_a_bandwidth_there_is_no_ceiling(small: Checkpoint) -> None:
    assert estimate(small, "openvino", "int8", "u8", 1024, machine(None)).ceiling is None
    given = estimate(small, "openvino", "int8", "u8", 1024, machine(None), bandwidth=20e9)
    assert given.ceiling == pytest.approx(20e9 / given.bytes_per_token)


def test_the_kv_cache_is_rounded_up_to_whole_blocks_and_two_spare_ones(small: Checkpoint) -> None:
    assert estimate(small, "openvino", "int8", "u8", 33, machine(None)).kv == small.kv_bytes(128, 1, 8)


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (7 * GB, "the weights alone take 14.96 GiB"),
        (17 * GB, "runtime and activations"),
        (18 * GB, "KV cache"),
    ],
)
def test_what_does_not_fit_is_named(llama_8b: Checkpoint, free: int, words: str) -> None:
    found = estimate(llama_8b, "pytorch", "bf16", "bf16", 8192, gpu(free))
    assert not found.fits
    assert words in found.problem
    assert "cuda:0" in found.problem


def test_runtime_that_does_not_fit_is_named(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 64, machine(200_000_000))
    assert "runtime and activations" in found.problem


def test_converting_that_does_not_fit_is_named(small: Checkpoint) -> None:
    found = estimate(small, "pytorch", "bf16", "bf16", 64, machine(1_000_000_000))
    assert "converting the weights" in found.problem


def test_a_build_that_does_not_fit_the_host_is_named(small: Checkpoint) -> None:
    found = estimate(small, "openvino", "int8", "u8", 64, machine(700_000_000))
    assert found.peak < 700_000_000 < found.build_host
    assert "Building needs" in found.problem


def test_the_host_of_a_gpu_is_asked_for_what_a_build_takes(small: Checkpoint) -> None:
    found = estimate(small, "unknown", "int8", "f16", 64, gpu(10 * GB), host=machine(GB))
    assert "Building needs" in found.problem


def test_enough_memory_is_no_problem_and_unknown_memory_neither(small: Checkpoint) -> None:
    for free in (10 * GB, None):
        found = estimate(small, "openvino", "int8", "auto", 2048, machine(free))
        assert (found.fits, found.problem) == (True, "")


def test_a_quantised_checkpoint_is_taken_as_it_lies_on_disk(small: Checkpoint) -> None:
    quantised = replace(small, quantisation=Quantisation("gptq", 4, "…"))
    assert estimate_weight_bytes(quantised, "bf16") == quantised.weight_bytes


def test_a_tied_table_is_counted_once_in_memory_and_read_as_the_head(small: Checkpoint) -> None:
    table = small.weights.head
    tied = replace(small, weights=replace(small.weights, parameters=153_000_000 - table, tied=True))
    assert estimate_weight_bytes(tied, "fp32") == 4 * (153_000_000 - table)
    assert bytes_read_per_token(tied, "fp32", "f32", 0) == 4 * (153_000_000 - table)


@pytest.mark.parametrize(
    ("backend", "precision", "asked", "kind", "found"),
    [
        ("pytorch", "fp32", "auto", "cpu", "f32"),
        ("pytorch", "bf16", "auto", "cuda", "bf16"),
        ("pytorch", "fp16", "auto", "cuda", "f16"),
        ("openvino", "int8", "auto", "cpu", "u8"),
        ("openvino", "bf16", "auto", "cpu", "bf16"),
        ("unknown", "int4", "auto", "cuda", "f16"),
        ("openvino", "int8", "f32", "cpu", "f32"),
    ],
)
def test_what_auto_means_for_the_kv_cache(
    backend: str, precision: str, asked: str, kind: str, found: str
) -> None:
    assert resolved_kv(backend, precision, asked, kind) == found


def test_unknown_names_are_programming_errors(small: Checkpoint) -> None:
    with pytest.raises(KeyError):
        estimate(small, "openvino", "int3", "auto", 64, machine(None))
    with pytest.raises(KeyError):
        estimate(small, "openvino", "int8", "u4", 64, machine(None))

"""Sizes of the precisions compared with published files, and the support table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines.backends.registry import LOCAL
from engines.environments.interpreters import Interpreter, register
from engines.plan.hardware.hardware import Device
from engines.plan.precision import PRECISIONS, default_precision, support, support_table
from engines.plan.support import NEEDS, RULES, Need

PLAIN = Device("cpu", "cpu", "Some CPU", None, None, frozenset({"avx2"}))
AMX = Device("cpu", "cpu", "Some CPU", None, None, frozenset({"avx2", "vnni", "amx_bf16"}))
H200 = Device("cuda:0", "cuda", "NVIDIA H200", None, None, compute_capability=(9, 0))
T4 = Device("cuda:0", "cuda", "Tesla T4", None, None, compute_capability=(7, 5))
ARM = Device("cpu", "cpu", "Some Arm CPU", None, None, frozenset({"neon", "arm_bf16"}))
A100 = Device("cuda:0", "cuda", "NVIDIA A100", None, None, compute_capability=(8, 0))
B200 = Device("cuda:0", "cuda", "NVIDIA B200", None, None, compute_capability=(10, 0))
RTX_3090 = Device("cuda:0", "cuda", "NVIDIA GeForce RTX 3090", None, None, compute_capability=(8, 6))
RTX_4090 = Device("cuda:0", "cuda", "NVIDIA GeForce RTX 4090", None, None, compute_capability=(8, 9))
K80 = Device("cuda:0", "cuda", "Tesla K80", None, None, compute_capability=(3, 7))
DEVICES = (PLAIN, AMX, ARM, H200, T4, A100, B200, RTX_3090, RTX_4090, K80)


@pytest.fixture
def with_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register an environment with a release that builds engines, and install optional libraries."""
    monkeypatch.setitem(NEEDS, ("tensorrt", "*"), Need((), ""))
    register("tensorrt-llm", Interpreter("python", builds_engines=True))
    yield
    register("tensorrt-llm", None)


@pytest.mark.parametrize(
    ("precision", "megabytes"),
    [("fp32", 612), ("bf16", 306), ("int8", 153), ("int4", 104)],
)
def test_sizes_agree_with_built_engines(precision: str, megabytes: int) -> None:
    parameters, tables = 153_000_000, 2 * 32_000 * 768
    found = PRECISIONS[precision].weight_bytes(parameters, tables) / 1e6
    assert found == pytest.approx(megabytes, rel=0.02)


@pytest.mark.parametrize(
    ("precision", "gigabytes"),
    [("bf16", 15.01), ("fp8", 8.03), ("int8-sq", 8.03), ("nvfp4", 4.98), ("int4-awq", 4.68)],
)
def test_bytes_read_agree_with_published_figures_of_llama_3_1_8b(precision: str, gigabytes: float) -> None:
    read, head = 8_030_000_000 - 525_000_000, 525_000_000
    assert PRECISIONS[precision].weight_bytes(read, head) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_every_precision_has_a_title_and_a_description() -> None:
    names = "fp32 bf16 fp16 fp8 int8 int8-sq int4 int4-awq w4a8-awq nvfp4 q8_0 q4_k_m q4_0"
    assert " ".join(PRECISIONS) == names
    for precision in PRECISIONS.values():
        assert precision.title
        assert precision.description.endswith(".")
        assert precision.bits <= precision.table_bits


@pytest.mark.parametrize(
    ("backend", "precision", "device", "state"),
    [
        ("pytorch", "fp32", PLAIN, "native"),
        ("pytorch", "fp32", H200, "native"),
        ("pytorch", "bf16", PLAIN, "partial"),
        ("pytorch", "bf16", AMX, "native"),
        ("pytorch", "bf16", H200, "native"),
        ("pytorch", "bf16", T4, "partial"),
        ("pytorch", "fp16", H200, "native"),
        ("pytorch", "fp16", AMX, "unavailable"),
        ("pytorch", "int8", AMX, "unavailable"),
        ("openvino", "fp32", PLAIN, "native"),
        ("openvino", "bf16", PLAIN, "partial"),
        ("openvino", "bf16", AMX, "native"),
        ("pytorch", "bf16", ARM, "native"),
        ("openvino", "bf16", ARM, "partial"),
        ("openvino", "fp16", AMX, "unavailable"),
        ("openvino", "int8", PLAIN, "native"),
        ("openvino", "int4", PLAIN, "native"),
        ("openvino", "fp8", AMX, "unavailable"),
        ("openvino", "nvfp4", AMX, "unavailable"),
        ("openvino", "int4-awq", AMX, "native"),
        ("openvino", "int8", H200, "unavailable"),
        ("onnxruntime", "fp32", PLAIN, "native"),
        ("onnxruntime", "int8", PLAIN, "native"),
        ("onnxruntime", "int4", ARM, "native"),
        ("onnxruntime", "bf16", AMX, "unavailable"),
        ("onnxruntime", "fp16", AMX, "unavailable"),
        ("onnxruntime", "fp8", AMX, "unavailable"),
        ("onnxruntime", "int8", H200, "unavailable"),
        ("onnxruntime", "q8_0", PLAIN, "unavailable"),
        ("llama-cpp", "q8_0", PLAIN, "native"),
        ("llama-cpp", "q4_k_m", PLAIN, "native"),
        ("llama-cpp", "q4_0", ARM, "native"),
        ("llama-cpp", "bf16", AMX, "partial"),
        ("llama-cpp", "int8", PLAIN, "unavailable"),
        ("llama-cpp", "q8_0", H200, "unavailable"),
    ],
)
def test_states_of_the_support_table(backend: str, precision: str, device: Device, state: str) -> None:
    assert support(backend, precision, device).state == state


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_what_openvino_does_with_activations_depends_on_the_cpu(precision: str) -> None:
    """Without VNNI or AMX the same numbers were computed with dynamic quantisation on and off."""
    assert "stay in FP32" in support("openvino", precision, PLAIN).reason
    reason = support("openvino", precision, AMX).reason
    assert "dynamically quantised activations" in reason or "8-bit activations" in reason


@pytest.mark.parametrize("backend", LOCAL)
@pytest.mark.parametrize("device", DEVICES)
def test_every_pair_of_every_backend_has_a_reason(backend: str, device: Device) -> None:
    table = support_table(backend, device)
    assert [*table] == [*PRECISIONS]
    for found in table.values():
        assert found.reason.endswith(".")
        assert not found.reason.endswith("is not supported.")
        assert found.state == "native" or found.remedy


@pytest.mark.usefixtures("with_environment")
def test_every_row_names_its_source_and_can_be_reached() -> None:
    reached = set()
    for rule in RULES:
        assert rule.source
        assert rule.precision in (*PRECISIONS, "*")
    for release in ("1.2.1", "1.4.0rc1"):
        register("tensorrt-llm", Interpreter("python", builds_engines=True, version=release))
        for device in DEVICES:
            for rule in RULES:
                for precision in PRECISIONS:
                    found = support(rule.backend, precision, device)
                    reached.add(id(found))
    assert [rule for rule in RULES if id(rule.support) not in reached] == []


def test_a_missing_library_makes_a_precision_unavailable_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = Need(("no_such_library",), "pip install it.")
    monkeypatch.setitem(NEEDS, ("openvino", "*"), need)
    found = support_table("openvino", PLAIN)
    assert found["int8"].state == "unavailable"
    assert (found["int8"].reason, found["int8"].remedy) == ("no_such_library is not installed.", need.remedy)
    assert "NaN" in found["fp16"].reason  # an unavailable precision keeps its reason
    assert support("pytorch", "fp32", PLAIN).state == "native"


def test_a_backend_with_a_separate_environment_is_available_with_it() -> None:
    assert support("tensorrt-llm", "fp8", H200).state == "unavailable"
    assert "env create" in support("tensorrt-llm", "fp8", H200).remedy
    register("tensorrt-llm", Interpreter("python"))
    try:
        assert support("tensorrt-llm", "fp8", H200).state == "native"
        assert "cannot build" in support("tensorrt-llm", "int8-sq", H200).reason
        assert "8.9" in support("tensorrt-llm", "fp8", A100).reason
        assert "8.0" in support("tensorrt-llm", "bf16", T4).reason
        assert "10.0" in support("tensorrt-llm", "nvfp4", H200).reason
        assert support("tensorrt-llm", "w4a8-awq", H200).state == "native"
        assert "8.9" in support("tensorrt-llm", "w4a8-awq", A100).reason
        assert "Blackwell" in support("tensorrt-llm", "w4a8-awq", B200).reason
        assert support("tensorrt-llm", "nvfp4", B200).state == "native"
        for release, state in (("1.2.1", "unavailable"), ("1.3.0rc20", "partial"), ("1.4.0rc1", "partial")):
            register("tensorrt-llm", Interpreter("python", version=release))
            assert support("tensorrt-llm", "nvfp4", H200).state == state
            assert support("tensorrt-llm", "nvfp4", RTX_4090).state == "unavailable"
    finally:
        register("tensorrt-llm", None)


def test_every_backend_has_its_requirements() -> None:
    assert {backend for backend, precision in NEEDS if precision == "*"} >= set(LOCAL)


def test_an_unknown_combination_is_unavailable_and_not_an_error() -> None:
    assert support("abacus", "int3", PLAIN).state == "unavailable"


@pytest.mark.parametrize(
    ("backend", "device", "precision"),
    [
        ("openvino", PLAIN, "int8"),
        ("onnxruntime", PLAIN, "int8"),
        ("llama-cpp", PLAIN, "q8_0"),
        ("pytorch", AMX, "fp32"),
        ("pytorch", H200, "bf16"),
        ("pytorch", T4, "fp16"),
    ],
)
def test_defaults(backend: str, device: Device, precision: str) -> None:
    assert default_precision(backend, device) == precision

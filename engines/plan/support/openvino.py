"""Support of `openvino`: OpenVINO GenAI with paged attention on the CPU; this project builds the graphs."""

from __future__ import annotations

from collections.abc import Mapping

from engines.errors import EngineError
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.decoder.config_check import check_openvino_config
from engines.plan.decoder.converted import converted_decoder
from engines.plan.hardware.hardware import Device
from engines.plan.support.floats import BF16_X86, MEASURED
from engines.plan.support.graph import graph_support
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime

INT8_X86 = frozenset({"vnni", "amx_int8"})
"""Features with which OpenVINO rounds the inputs of products to int8 by itself."""
WIDE_ACTIVATIONS = "an EPYC with AVX2: the same numbers with dynamic quantisation on and off, 2026.4.1"
NEEDS: dict[str, Need] = {
    "*": Need(("openvino", "openvino_genai"), "pip install openvino openvino-genai."),
}
_built = graph_support(check_openvino_config)
CONVERTED = Support(
    "partial",
    "Converted from transformers' own model: slower to build, with all weights in 32 bits in memory.",
)
DEFAULTS = (("cpu", "int8"),)
KV_CHOICES = {
    "fp32": ("f32", "f16", "u8"),
    # With f16 OpenVINO silently uses bf16, and f32 fails at the first inference.
    "bf16": ("bf16", "u8"),
    "int8": ("u8", "f16", "f32"),
    "int4": ("u8", "f16", "f32"),
    "int4-awq": ("u8", "f16", "f32"),
}


def _is_converted(config: Mapping[str, object]) -> bool:
    found = checkpoint_support("", config, None, None)
    return found is not None and found.state == "partial"


RUNTIMES: dict[str, Runtime] = {
    # Resident with 612, 306, 153 and 104 MB of weights: 1343, 709, 470 and 387 MB. The line through them is
    # 190 MB + 1.88 per byte (repacked weights and the mapped file), within 10 % of each. Builds of the same
    # four peaked at 1238, 1290, 972 and 929 MB: tensors + 250 MB is within 20 % of each.
    "cpu": Runtime(
        base=190 * MB,
        weight_copies=1.88,
        prefill_tokens=256,
        build_base=250 * MB,
        block_tokens=32,
        keeps_all_tokens=True,
        spare_blocks=2,
        widens=_is_converted,
    ),
}


def checkpoint_support(
    architecture: str,
    config: Mapping[str, object],
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why no graph is built, or how; see `row.CheckpointSupport`."""
    found = _built(architecture, config, quantisation, precision, device, context)
    if found is None or quantisation is not None:
        return found
    try:
        converted = converted_decoder(config)
    except EngineError as error:
        return Support("unavailable", error.message, error.hint)
    return found if converted is None else CONVERTED


RULES: tuple[Rule, ...] = (
    Rule(
        "openvino",
        "*",
        "cuda",
        Support("unavailable", "OpenVINO does not run on NVIDIA GPUs.", "Choose the CPU."),
        "OpenVINO, inference devices: its GPU plug-in is for Intel GPUs",
    ),
    Rule("openvino", "fp32", "cpu", Support("native", "Computed in 32-bit floats."), MEASURED),
    Rule(
        "openvino",
        "bf16",
        "cpu",
        Support("native", "Computed in BF16 by this CPU."),
        MEASURED,
        any_feature=BF16_X86,
    ),
    Rule(
        "openvino",
        "bf16",
        "cpu",
        Support(
            "partial",
            "This CPU has no BF16 instructions: weights are stored in 16 bits and computed in FP32.",
            "Choose INT8 for speed.",
        ),
        "OpenVINO, CPU device: bf16 is computed natively with AVX512-BF16 or AMX, else in f32",
    ),
    Rule(
        "openvino",
        "fp16",
        "cpu",
        Support(
            "unavailable",
            "FP16 execution in OpenVINO's paged pipeline gives NaN and garbage text on CPUs.",
            "Choose BF16 for the same size, or FP32 for the same accuracy.",
        ),
        MEASURED,
    ),
    Rule(
        "openvino",
        "int8",
        "cpu",
        Support("native", "8-bit weights and dynamically quantised activations."),
        MEASURED,
        any_feature=INT8_X86,
    ),
    Rule(
        "openvino",
        "int8",
        "cpu",
        Support("native", "8-bit weights, unpacked in the kernels; activations stay in FP32 on this CPU."),
        WIDE_ACTIVATIONS,
    ),
    Rule(
        "openvino",
        "int4",
        "cpu",
        Support("native", "4-bit weights, unpacked in the kernels, and 8-bit activations."),
        MEASURED,
        any_feature=INT8_X86,
    ),
    Rule(
        "openvino",
        "int4",
        "cpu",
        Support("native", "4-bit weights, unpacked in the kernels; activations stay in FP32 on this CPU."),
        WIDE_ACTIVATIONS,
    ),
    Rule(
        "openvino",
        "int4-awq",
        "cpu",
        Support("native", "4-bit weights with zero points: more accurate than INT4, at 0.8 of its speed."),
        "tests/benchmarks/int4_recipes.py; speed on an EPYC with AVX2",
    ),
    Rule(
        "openvino",
        "int8-sq",
        "cpu",
        Support(
            "unavailable",
            "SmoothQuant is for 8-bit activations, which stay as they are here.",
            "Choose INT8.",
        ),
        "SmoothQuant, arXiv:2211.10438: scales come from calibration data",
    ),
    Rule(
        "openvino",
        "*",
        "cpu",
        Support(
            "unavailable",
            "CPUs have no FP8 or NVFP4 arithmetic, so only integer formats are built here.",
            "Choose INT8 or INT4.",
        ),
        "FP8 and NVFP4 are formats of NVIDIA's tensor cores (Ada and Hopper; Blackwell)",
    ),
)

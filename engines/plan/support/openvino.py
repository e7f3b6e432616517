"""OpenVINO GenAI, paged attention on the CPU, graphs built by this project."""

from __future__ import annotations

from engines.plan.support.floats import BF16_X86, MEASURED
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support

NEEDS: dict[str, Need] = {
    "*": Need(("openvino", "openvino_genai"), "pip install openvino openvino-genai."),
}
DEFAULTS = (("cpu", "int8"),)
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
            "fallback",
            "This CPU has no BF16 instructions: weights take 16 bits and are computed in FP32.",
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
    ),
    Rule(
        "openvino",
        "int4",
        "cpu",
        Support("native", "4-bit weights, unpacked in the kernels, and 8-bit activations."),
        MEASURED,
    ),
    Rule(
        "openvino",
        "int8-sq",
        "cpu",
        Support(
            "unavailable", "SmoothQuant needs calibration, which this builder does not do.", "Choose INT8."
        ),
        "SmoothQuant, arXiv:2211.10438: scales come from calibration data",
    ),
    Rule(
        "openvino",
        "int4-awq",
        "cpu",
        Support("unavailable", "AWQ needs calibration, which this builder does not do.", "Choose INT4."),
        "AWQ, arXiv:2306.00978: scales come from calibration data",
    ),
    Rule(
        "openvino",
        "*",
        "cpu",
        Support(
            "unavailable",
            "CPUs have no FP8 or NVFP4 arithmetic, so that this builder writes integers only.",
            "Choose INT8 or INT4 here.",
        ),
        "FP8 and NVFP4 are formats of NVIDIA's tensor cores (Ada and Hopper; Blackwell)",
    ),
)

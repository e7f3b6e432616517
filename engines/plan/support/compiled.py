"""transformers with a static cache, compiled; torchao quantises weights only."""

from __future__ import annotations

from engines.plan.support.floats import BF16_CPU, EMULATED_BF16, MEASURED, MEASURED_ON_GPU
from engines.plan.support.need import TORCH, Need
from engines.plan.support.row import Rule, Support

_TORCHAO = Need(("torchao",), "pip install 'trt-playground[compiled]', or choose a plain precision.")

NEEDS: dict[str, Need] = {
    "*": Need(TORCH, "pip install torch transformers; apt install g++.", compiles=True),
    "int8": _TORCHAO,
    "int4": _TORCHAO,
    "fp8": _TORCHAO,
}
DEFAULTS = (("cuda", "bf16"), ("cuda", "fp16"), ("cpu", "bf16"), ("cpu", "fp32"))
RULES: tuple[Rule, ...] = (
    Rule("compiled", "fp32", "*", Support("native", "Computed in 32-bit floats, compiled."), MEASURED_ON_GPU),
    Rule(
        "compiled",
        "bf16",
        "cuda",
        Support("native", "Computed in BF16, compiled."),
        MEASURED_ON_GPU,
        compute_capability=(8, 0),
    ),
    Rule(
        "compiled",
        "bf16",
        "cuda",
        EMULATED_BF16,
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html",
    ),
    Rule(
        "compiled",
        "bf16",
        "cpu",
        Support("native", "Computed in BF16, compiled."),
        MEASURED,
        any_feature=BF16_CPU,
    ),
    Rule(
        "compiled",
        "bf16",
        "cpu",
        Support("fallback", "This CPU has no BF16 instructions: PyTorch converts.", "Choose FP32 for speed."),
        "oneDNN, developer guide, data types: hardware limitations of bf16",
    ),
    Rule("compiled", "fp16", "cuda", Support("native", "Computed in FP16, compiled."), "PyTorch"),
    Rule(
        "compiled",
        "fp16",
        "cpu",
        Support(
            "unavailable", "CPUs without FP16 arithmetic convert every operation.", "Choose BF16 or FP32."
        ),
        "CPU FP16 arithmetic is found from AVX512-FP16 and AMX-FP16 on; not measured here",
    ),
    Rule(
        "compiled",
        "int8",
        "*",
        Support(
            "fallback",
            "8-bit weights by torchao, computed in BF16.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        MEASURED_ON_GPU,
    ),
    Rule(
        "compiled",
        "int4",
        "*",
        Support(
            "fallback",
            "4-bit weights in groups of 128, computed in BF16; the head stays 8-bit.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        MEASURED_ON_GPU,
    ),
    Rule(
        "compiled",
        "fp8",
        "cuda",
        Support(
            "fallback",
            "8-bit float weights by torchao, computed in BF16; the head stays 16-bit.",
            "Choose BF16 for the accuracy of the checkpoint.",
        ),
        MEASURED_ON_GPU,
        compute_capability=(8, 9),
    ),
    Rule(
        "compiled",
        "fp8",
        "cuda",
        Support("unavailable", "FP8 conversions need compute capability 8.9 (Ada).", "Choose INT8."),
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities",
    ),
    Rule(
        "compiled",
        "*",
        "*",
        Support(
            "unavailable",
            "torchao stores weights as INT8, INT4 or, on GPUs, FP8; the rest lacks kernels or calibration.",
            "Choose INT8 or INT4.",
        ),
        "torchao 0.18: Int8WeightOnlyConfig, Int4WeightOnlyConfig and Float8WeightOnlyConfig",
    ),
)

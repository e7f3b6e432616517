"""Support of `compiled`: transformers with a static cache and torch.compile; torchao for weights only."""

from __future__ import annotations

from engines.plan.support.floats import BF16_CPU, EMULATED_BF16, MEASURED, MEASURED_ON_GPU
from engines.plan.support.need import TORCH, Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime
from engines.plan.support.transformers import compiled_support

_TORCHAO = Need(("torchao",), "pip install 'trt-playground[compiled]', or choose a plain precision.")

NEEDS: dict[str, Need] = {
    "*": Need(TORCH, "pip install torch transformers; apt install g++.", needs_compiler=True),
    "int8": _TORCHAO,
    "int4": _TORCHAO,
    "fp8": _TORCHAO,
}
DEFAULTS = (("cuda", "bf16"), ("cuda", "fp16"), ("cpu", "bf16"), ("cpu", "fp32"))
KV_CHOICES = {"int8": ("bf16",), "int4": ("bf16",), "fp8": ("bf16",)}
RUNTIMES: dict[str, Runtime] = {
    # Resident with 499, 249, 150 and 114 MB of weights (fp32, bf16, int8, int4): 915, 737, 611 and 587 MB,
    # within 8 % of weights + cache + 470 MB. Builds peaked at 981, 1116, 1116 and 1116 MB, within 10 % of the
    # formula; the memory of the C++ compiler, a separate process, is not counted.
    "cpu": Runtime(
        base=470 * MB,
        weight_copies=1.0,
        prefill_tokens=512,
        build_base=400 * MB,
        block_tokens=128,
        spare_blocks=4,
        reads_checkpoint=True,
    ),
    # As PyTorch, plus the graphs and workspaces of the compiled steps: 0.7 GB were reserved in addition to
    # weights and cache of a 7B shape on one H200. The host memory of a build for a GPU was not measured.
    "cuda": Runtime(
        base=1350 * MB,
        weight_copies=1.0,
        prefill_tokens=2048,
        build_base=1000 * MB,
        block_tokens=128,
        spare_blocks=4,
        reads_checkpoint=True,
    ),
}
checkpoint_support = compiled_support
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
        Support("partial", "This CPU has no BF16 instructions: PyTorch converts.", "Choose FP32 for speed."),
        "oneDNN, developer guide, data types: hardware limitations of bf16",
    ),
    Rule("compiled", "fp16", "cuda", Support("native", "Computed in FP16, compiled."), "PyTorch"),
    Rule(
        "compiled",
        "fp16",
        "cpu",
        Support(
            "unavailable",
            "Most CPUs have no FP16 arithmetic and convert every operation: slow.",
            "Choose BF16 or FP32.",
        ),
        "CPUs have FP16 arithmetic from AVX512-FP16 and AMX-FP16 on; not measured",
    ),
    Rule(
        "compiled",
        "int8",
        "*",
        Support(
            "partial",
            "8-bit weights by torchao, computed in BF16.",
            "For full accuracy use BF16.",
        ),
        MEASURED_ON_GPU,
    ),
    Rule(
        "compiled",
        "int4",
        "*",
        Support(
            "partial",
            "4-bit weights in groups of 128, computed in BF16; the head stays 8-bit.",
            "For full accuracy use BF16.",
        ),
        MEASURED_ON_GPU,
    ),
    Rule(
        "compiled",
        "fp8",
        "cuda",
        Support(
            "partial",
            "8-bit float weights by torchao, computed in BF16; the head stays 16-bit.",
            "For full accuracy use BF16.",
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
            "torchao stores weights as INT8, INT4 or, on GPUs, FP8; others lack kernels or calibration.",
            "Choose INT8 or INT4.",
        ),
        "torchao 0.18: Int8WeightOnlyConfig, Int4WeightOnlyConfig and Float8WeightOnlyConfig",
    ),
)

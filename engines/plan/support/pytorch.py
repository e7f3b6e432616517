"""Support of `pytorch`, the reference: transformers in plain float precisions."""

from __future__ import annotations

from engines.plan.support.floats import BF16_CPU, EMULATED_BF16, MEASURED
from engines.plan.support.need import TORCH, Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime
from engines.plan.support.transformers import checkpoint_support as checkpoint_support

NEEDS: dict[str, Need] = {
    "*": Need(TORCH, "pip install torch transformers."),
}
DEFAULTS = (("cpu", "fp32"), ("cuda", "bf16"), ("cuda", "fp16"))
RUNTIMES: dict[str, Runtime] = {
    # torch and transformers after import: 331 MB. With 612 MB of fp32 weights 883 MB were resident.
    "cpu": Runtime(base=331 * MB, weight_copies=1.0, prefill_tokens=None, build_base=None, block_tokens=1),
    # CUDA context and cuBLAS: a process took 614 MB more of an H200 than torch had reserved.
    "cuda": Runtime(base=650 * MB, weight_copies=1.0, prefill_tokens=None, build_base=None, block_tokens=1),
}
RULES: tuple[Rule, ...] = (
    Rule("pytorch", "fp32", "*", Support("native", "Computed in 32-bit floats: the reference."), MEASURED),
    Rule(
        "pytorch",
        "bf16",
        "cpu",
        Support(
            "native", "Computed in BF16 by this CPU; at batch 1 no faster than FP32, but half the memory."
        ),
        MEASURED,
        any_feature=BF16_CPU,
    ),
    Rule(
        "pytorch",
        "bf16",
        "cpu",
        Support(
            "partial",
            "This CPU has no BF16 instructions: PyTorch converts, which may be slower than FP32.",
            "Choose FP32 for speed.",
        ),
        "oneDNN, developer guide, data types: hardware limitations of bf16",
    ),
    Rule(
        "pytorch",
        "bf16",
        "cuda",
        Support("native", "Computed in BF16 by the tensor cores."),
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities",
        compute_capability=(8, 0),
    ),
    Rule(
        "pytorch",
        "bf16",
        "cuda",
        EMULATED_BF16,
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html",
    ),
    Rule("pytorch", "fp16", "cuda", Support("native", "Computed in FP16 by the GPU."), "PyTorch"),
    Rule(
        "pytorch",
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
        "pytorch",
        "*",
        "*",
        Support(
            "unavailable",
            "PyTorch is the reference and runs plain floats only; other backends build quantised engines.",
            "Choose FP32 or BF16, and the quantised precision on the other side.",
        ),
        "a decision of this project: the reference is transformers without a quantiser",
    ),
)

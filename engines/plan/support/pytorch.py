"""PyTorch is the reference: plain floats, run by transformers as they are."""

from __future__ import annotations

from engines.plan.support.floats import BF16_CPU, EMULATED_BF16, MEASURED
from engines.plan.support.need import TORCH, Need
from engines.plan.support.row import Rule, Support

NEEDS: dict[str, Need] = {
    "*": Need(TORCH, "pip install torch transformers."),
}
DEFAULTS = (("cpu", "fp32"), ("cuda", "bf16"), ("cuda", "fp16"))
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
            "fallback",
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
            "unavailable", "CPUs without FP16 arithmetic convert every operation.", "Choose BF16 or FP32."
        ),
        "CPU FP16 arithmetic is found from AVX512-FP16 and AMX-FP16 on; not measured here",
    ),
    Rule(
        "pytorch",
        "*",
        "*",
        Support(
            "unavailable",
            "The PyTorch side is the reference and runs plain floats: "
            "a quantised engine is what the other backends build.",
            "Choose FP32 or BF16 here, and the quantised precision on the other side.",
        ),
        "a choice of this project: the reference stays what transformers runs without any quantiser",
    ),
)

"""Support of `llama-cpp`: llama.cpp on the CPU through xllamacpp; this project writes the GGUF files."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from engines.plan.decoder.gguf_families import check_gguf_config
from engines.plan.support.graph import graph_support
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime

MEASURED = "measured on a 2-core EPYC with AVX2, xllamacpp 2026.10"
FORMATS = {
    "q8_0": "Choose INT8, or llama.cpp.",
    **dict.fromkeys(("q4_k_m", "q4_0"), "Choose INT4, or llama.cpp."),
}
"""llama.cpp's own precisions, and what to choose for another backend."""
NEEDS: dict[str, Need] = {
    "*": Need(("xllamacpp", "gguf"), "pip install xllamacpp gguf."),
}
checkpoint_support = graph_support(check_gguf_config)
DEFAULTS = (("cpu", "q8_0"),)
KV_CHOICES = {
    "fp32": ("f32", "f16", "q8_0"),
    **dict.fromkeys(("bf16", "fp16", "q8_0", "q4_k_m", "q4_0"), ("f16", "f32", "q8_0")),
}
RUNTIMES: dict[str, Runtime] = {
    # Not measured: base, weight_copies and build_base are those of ONNX Runtime.
    "cpu": Runtime(
        base=320 * MB,
        weight_copies=1.25,
        prefill_tokens=256,
        build_base=290 * MB,
        block_tokens=1,
        keeps_all_tokens=True,
    ),
}
K_QUANTS = (
    Support("unavailable", "xllamacpp's library for Windows cannot write K-quants.", "Choose Q8_0 or Q4_0.")
    if sys.platform == "win32"
    else Support("native", "4 and 6-bit weights, calibrated with texts, and 8-bit activations.")
)
RULES: tuple[Rule, ...] = (
    Rule(
        "llama-cpp",
        "*",
        "cuda",
        Support(
            "unavailable",
            "The xllamacpp of PyPI has no CUDA kernels, so llama.cpp is used on the CPU here.",
            "Choose another backend for this GPU.",
        ),
        "xllamacpp, README: CUDA, ROCm and Vulkan wheels come from its own index",
    ),
    Rule("llama-cpp", "fp32", "cpu", Support("native", "Computed in 32-bit floats."), MEASURED),
    Rule(
        "llama-cpp",
        "bf16",
        "cpu",
        Support(
            "partial",
            "Weights are stored in 16 bits and computed in FP32.",
            "Choose Q8_0 for speed.",
        ),
        MEASURED,
    ),
    Rule(
        "llama-cpp",
        "fp16",
        "cpu",
        Support("partial", "Weights are stored in 16 bits and computed in FP32.", "Choose Q8_0 for speed."),
        MEASURED,
    ),
    Rule("llama-cpp", "q8_0", "cpu", Support("native", "8-bit weights and 8-bit activations."), MEASURED),
    Rule("llama-cpp", "q4_k_m", "cpu", K_QUANTS, MEASURED),
    Rule("llama-cpp", "q4_0", "cpu", Support("native", "4-bit weights and 8-bit activations."), MEASURED),
    Rule(
        "llama-cpp",
        "*",
        "cpu",
        Support("unavailable", "llama.cpp has formats of its own.", "Choose Q8_0 or Q4_0."),
        "ggml: the types of its tensors",
    ),
)


def other_backends(names: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rows of the backends `names` for llama.cpp's own precisions."""
    return tuple(
        Rule(
            name,
            precision,
            "*",
            Support("unavailable", f"{precision.upper()} is a format of llama.cpp.", remedy),
            "ggml: the types of its tensors",
        )
        for name in names
        if name != "llama-cpp"
        for precision, remedy in FORMATS.items()
    )

"""TensorRT-LLM: plain floats, and what ModelOpt quantises. None of these rows has been measured here."""

from __future__ import annotations

from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support

DOCUMENTATION = "https://nvidia.github.io/TensorRT-LLM/"
TABLE = f"{DOCUMENTATION}features/quantization.html, hardware support; not run here"
GPUS = f"{DOCUMENTATION}supported-hardware.html: Ampere and newer; not run here"

NEEDS: dict[str, Need] = {
    "*": Need((), "trt-playground env create tensorrt-llm.", environment="tensorrt-llm"),
    "int8-sq": Need((), "Choose FP8; releases up to 1.2 do.", environment="tensorrt-llm", engine_class=True),
}
DEFAULTS = (("cuda", "fp8"), ("cuda", "bf16"))
RULES: tuple[Rule, ...] = (
    Rule(
        "tensorrt-llm",
        "*",
        "cpu",
        Support("unavailable", "TensorRT-LLM runs on NVIDIA GPUs only.", "Choose OpenVINO on the CPU."),
        GPUS,
    ),
    *(
        Rule(
            "tensorrt-llm",
            name,
            "cuda",
            Support("native", f"Computed in {name.upper()} by the GPU."),
            GPUS,
            compute_capability=(8, 0),
        )
        for name in ("fp32", "bf16", "fp16")
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("native", "Weights and activations in FP8, calibrated by ModelOpt."),
        TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "fp8",
        "cuda",
        Support("unavailable", "FP8 needs compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int8-sq",
        "cuda",
        Support("native", "INT8 weights and activations, in a TensorRT engine of releases up to 1.2."),
        f"{DOCUMENTATION}1.2: the PyTorch-based LLM API has no such linear layer; not run here",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support("fallback", "4-bit weights; not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "int4-awq",
        "cuda",
        Support(
            "fallback",
            "4-bit weights calibrated by ModelOpt, computed in 16 bits.",
            "Choose BF16 for accuracy.",
        ),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support(
            "unavailable", "INT4 AWQ + FP8 is not in NVIDIA's table for Blackwell.", "Choose NVFP4 there."
        ),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("native", "4-bit weights and FP8 activations, calibrated by ModelOpt on this GPU."),
        TABLE,
        compute_capability=(8, 9),
    ),
    Rule(
        "tensorrt-llm",
        "w4a8-awq",
        "cuda",
        Support("unavailable", "Its FP8 activations need compute capability 8.9 (Ada).", "Choose INT4 AWQ."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("native", "Weights and activations in NVFP4, calibrated by ModelOpt on this GPU."),
        TABLE,
        compute_capability=(10, 0),
    ),
    Rule(
        "tensorrt-llm",
        "nvfp4",
        "cuda",
        Support("unavailable", "NVFP4 needs compute capability 10.0 (Blackwell).", "Choose FP8."),
        TABLE,
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "*",
        "cuda",
        Support(
            "unavailable",
            "TensorRT-LLM loads INT8 and INT4 weights only as others have calibrated them.",
            "Choose FP8 or INT4 AWQ.",
        ),
        "NVIDIA/TensorRT-LLM, tensorrt_llm/llmapi/llm_utils.py; not run here",
        compute_capability=(8, 0),
    ),
    Rule(
        "tensorrt-llm",
        "*",
        "cuda",
        Support(
            "unavailable",
            "TensorRT-LLM needs compute capability 8.0 (Ampere) or newer.",
            "Choose PyTorch on this GPU.",
        ),
        GPUS,
    ),
)

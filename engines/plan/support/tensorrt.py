"""Support of `tensorrt`: TensorRT for RTX, or TensorRT 11 where that is installed; not run on any GPU."""

from __future__ import annotations

from importlib.util import find_spec

from engines.plan.decoder.config_check import check_tensorrt_config
from engines.plan.support.graph import graph_support
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime

DOCUMENTATION = "https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/"
MATRIX = f"{DOCUMENTATION}getting-started/support-matrix.html; built for these GPUs, not run"
LIBRARY = "tensorrt" if find_spec("tensorrt") and not find_spec("tensorrt_rtx") else "tensorrt_rtx"
"""TensorRT itself runs on GPUs of data centres too."""

NEEDS: dict[str, Need] = {
    "*": Need((LIBRARY, "onnx"), 'pip install "trt-playground[tensorrt-rtx]".'),
}
checkpoint_support = graph_support(check_tensorrt_config)
DEFAULTS = (("cuda", "fp16"),)
KV_CHOICES = {
    "fp32": ("f32",),
    "bf16": ("bf16",),
    "fp16": ("f16",),
    "int8": ("f16",),
    "int4": ("f16",),
    "fp8": ("f16",),
}
RUNTIMES: dict[str, Runtime] = {
    # Not measured: CUDA context, compiled kernels and activations. A build of SmolLM2-135M took 1.29 GB with
    # 269 MB of weights.
    "cuda": Runtime(
        base=900 * MB,
        weight_copies=1.0,
        prefill_tokens=512,
        build_base=700 * MB,
        block_tokens=1,
        keeps_all_tokens=True,
    ),
}
_DATA_CENTRE = Support(
    "unavailable",
    "TensorRT for RTX runs on GeForce and RTX GPUs, not on those of data centres.",
    "Choose PyTorch compiled or TensorRT-LLM here, or build for another GPU: engines build --for sm89.",
)
_NO_GPU = Support(
    "unavailable",
    "TensorRT runs on NVIDIA GPUs only.",
    "Choose ONNX Runtime, which runs the same graph here, or build for another machine: engines build --for "
    "sm89.",
)


def _rows(precision: str, support: Support, oldest: tuple[int, int]) -> tuple[Rule, ...]:
    return (Rule("tensorrt", precision, "cuda", support, MATRIX, compute_capability=oldest),)


RULES: tuple[Rule, ...] = (
    Rule("tensorrt", "*", "cpu", _NO_GPU, MATRIX),
    *(
        (
            Rule("tensorrt", "*", "cuda", _DATA_CENTRE, MATRIX, compute_capability=(9, 0), below=(12, 0)),
            Rule("tensorrt", "*", "cuda", _DATA_CENTRE, MATRIX, compute_capability=(8, 0), below=(8, 6)),
        )
        if LIBRARY == "tensorrt_rtx"
        else ()
    ),
    *_rows("fp16", Support("native", "Computed in FP16 by the GPU."), (7, 5)),
    *_rows("bf16", Support("native", "Computed in BF16 by the GPU."), (8, 0)),
    *_rows("fp32", Support("native", "Computed in 32-bit floats, without a kernel for attention."), (7, 5)),
    *_rows(
        "int8",
        Support("partial", "8-bit weights, computed in FP16.", "For full accuracy use FP16."),
        (7, 5),
    ),
    *_rows(
        "int4",
        Support(
            "partial",
            "4-bit weights in groups of 64, computed in FP16; the head stays 8-bit.",
            "For full accuracy use FP16.",
        ),
        (7, 5),
    ),
    *_rows(
        "fp8",
        Support("partial", "8-bit float weights, computed in FP16; the head stays 16-bit.", "Or use INT8."),
        (8, 9),
    ),
    *_rows("fp8", Support("unavailable", "FP8 needs compute capability 8.9 (Ada).", "Choose INT8."), (7, 5)),
    *_rows(
        "bf16", Support("unavailable", "BF16 needs compute capability 8.0 (Ampere).", "Choose FP16."), (7, 5)
    ),
    *_rows(
        "*",
        Support(
            "unavailable", "TensorRT engines are built here without calibration.", "Choose INT8 or INT4."
        ),
        (7, 5),
    ),
    Rule(
        "tensorrt",
        "*",
        "cuda",
        Support("unavailable", "TensorRT needs compute capability 7.5 (Turing) or newer.", "Choose PyTorch."),
        MATRIX,
    ),
)

"""Support of `onnxruntime`: ONNX Runtime on the CPU; this project builds the graphs."""

from __future__ import annotations

from engines.plan.decoder.config_check import check_onnx_config
from engines.plan.support.graph import graph_support
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, Support
from engines.plan.support.runtime import MB, Runtime

MEASURED = "measured on a 2-core Xeon with AMX, onnxruntime 1.32"
NEEDS: dict[str, Need] = {
    "*": Need(("onnx", "onnxruntime"), "pip install onnx onnxruntime."),
}
checkpoint_support = graph_support(check_onnx_config)
DEFAULTS = (("cpu", "int8"),)
KV_CHOICES = dict.fromkeys(("fp32", "int8", "int4"), ("f32",))
RUNTIMES: dict[str, Runtime] = {
    # Resident with the demo checkpoint and with SmolLM2-135M, after a prompt of 800 tokens, without KV cache
    # and activations: 349 and 880 MB with 29 and 538 MB of fp32, 332 and 560 MB with 9 and 164 MB of int8,
    # 325 and 495 MB with 6 and 118 MB of int4. That is 320 MB + 1.04 per byte of fp32 and 1.5 of int8 and
    # int4, which are repacked: 1.25 is within 15 % of each. Builds of the same six peaked at 360 and 965, 345
    # and 667, 337 and 668 MB: tensors + 290 MB is within 10 % of each, and 42 % above the 965.
    "cpu": Runtime(
        base=320 * MB,
        weight_copies=1.25,
        prefill_tokens=512,
        build_base=290 * MB,
        block_tokens=1,
        keeps_all_tokens=True,
    ),
}
RULES: tuple[Rule, ...] = (
    Rule(
        "onnxruntime",
        "*",
        "cuda",
        Support("unavailable", "ONNX Runtime is used on the CPU here.", "Choose TensorRT on this GPU."),
        "the package onnxruntime has no CUDA kernels; onnxruntime-gpu is not used",
    ),
    Rule("onnxruntime", "fp32", "cpu", Support("native", "Computed in 32-bit floats."), MEASURED),
    Rule(
        "onnxruntime",
        "int8",
        "cpu",
        Support("native", "8-bit weights and dynamically quantised activations."),
        MEASURED,
    ),
    Rule(
        "onnxruntime",
        "int4",
        "cpu",
        Support("native", "4-bit weights in groups of 64, and 8-bit activations."),
        MEASURED,
    ),
    Rule(
        "onnxruntime",
        "bf16",
        "cpu",
        Support("unavailable", "ONNX Runtime has no BF16 products on CPUs.", "Choose FP32 or INT8."),
        "MatMul in bfloat16: NOT_IMPLEMENTED by its CPU provider, 1.32",
    ),
    Rule(
        "onnxruntime",
        "fp16",
        "cpu",
        Support(
            "unavailable", "ONNX Runtime converts every FP16 value to FP32 on CPUs.", "Choose FP32 or INT8."
        ),
        "its CPU provider inserts a Cast before and after each operation, 1.32",
    ),
    Rule(
        "onnxruntime",
        "*",
        "cpu",
        Support(
            "unavailable",
            "Only integer formats without calibration are built for ONNX Runtime.",
            "Choose INT8 or INT4.",
        ),
        "this project's graph builder",
    ),
)

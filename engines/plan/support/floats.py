"""Rows and sources that several backends share: 16-bit floats on CPUs and GPUs."""

from __future__ import annotations

from engines.plan.support.row import Support

BF16_X86 = frozenset({"amx_bf16", "avx512_bf16"})
BF16_CPU = BF16_X86 | {"arm_bf16"}
MEASURED = "measured on a 2-core Xeon with AMX, openvino-genai 2026.4.1, torch 2.13"
MEASURED_ON_GPU = "measured on one H200, torch 2.11, transformers 5.17, torchao 0.18"
EMULATED_BF16 = Support(
    "partial", "BF16 is emulated before compute capability 8.0 (Ampere).", "Choose FP16 on this GPU."
)

"""How keys and values are stored, and which ways a backend offers for which weights."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"
"""The backend's own choice."""


@dataclass(frozen=True)
class KVPrecision:
    """How a key or value is stored."""

    element_bytes: float
    head_overhead: float = 0.0
    """Bytes of scale and zero point for each head's key, and again for its value."""


KV_PRECISIONS: dict[str, KVPrecision] = {
    "f32": KVPrecision(4),
    "bf16": KVPrecision(2),
    "f16": KVPrecision(2),
    # OpenVINO: 5,120 B a token measured where f16 has 8,192 (8 layers, 8 heads of 32): 8 B of scales a head.
    "u8": KVPrecision(1, head_overhead=8),
    "fp8": KVPrecision(1),
}
KV_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("openvino", "fp32"): ("f32", "f16", "u8"),
    # f16 would silently be bf16, and f32 fails at the first inference.
    ("openvino", "bf16"): ("bf16", "u8"),
    ("openvino", "int8"): ("u8", "f16", "f32"),
    ("openvino", "int4"): ("u8", "f16", "f32"),
    ("compiled", "int8"): ("bf16",),
    ("compiled", "int4"): ("bf16",),
    ("compiled", "fp8"): ("bf16",),
    ("tensorrt-llm", "fp32"): ("f32", "fp8"),
    ("tensorrt-llm", "bf16"): ("bf16", "fp8"),
    ("tensorrt-llm", "fp16"): ("f16", "fp8"),
    ("tensorrt-llm", "fp8"): ("bf16", "fp8"),
    ("tensorrt-llm", "int8-sq"): ("bf16",),
    ("tensorrt-llm", "int4-awq"): ("bf16", "fp8"),
    ("tensorrt-llm", "w4a8-awq"): ("bf16", "fp8"),
    ("tensorrt-llm", "nvfp4"): ("bf16", "fp8"),
}
"""By backend and precision of the weights, what `auto` means first. Others store it as their weights."""
_OF_WEIGHTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def kv_choices(backend: str, precision: str) -> tuple[str, ...]:
    """Names of KV_PRECISIONS that the backend takes with such weights; the first is what `auto` means."""
    return KV_CHOICES.get((backend, precision), (_OF_WEIGHTS.get(precision, "f16"),))


def resolved_kv(backend: str, precision: str, kv_precision: str) -> str:
    """The name in KV_PRECISIONS that `auto` stands for; any other name stands for itself."""
    return kv_choices(backend, precision)[0] if kv_precision == AUTO else kv_precision

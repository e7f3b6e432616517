"""Formats of the KV cache, and which of them a backend offers for a weight precision."""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.gguf_formats import GGUF_PRECISIONS
from engines.plan.support import KV_CHOICES

AUTO = "auto"
"""Let the backend choose."""


@dataclass(frozen=True)
class KVPrecision:
    """A storage format of keys and values."""

    element_bytes: float
    head_overhead: float = 0.0
    """Bytes of scale and zero point for the key of each head, and again for its value."""


KV_PRECISIONS: dict[str, KVPrecision] = {
    "f32": KVPrecision(4),
    "bf16": KVPrecision(2),
    "f16": KVPrecision(2),
    # Measured with OpenVINO: 5,120 B per token where f16 has 8,192 (8 layers, 8 heads of 32), which is 8 B of
    # scales per head.
    "u8": KVPrecision(1, head_overhead=8),
    "q8_0": KVPrecision(34 / 32),  # a 16-bit scale for 32 values
    "fp8": KVPrecision(1),
    "nvfp4": KVPrecision(0.5 + 1 / 16),  # a scale of one byte for 16 values
}
_OF_WEIGHTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def kv_choices(backend: str, precision: str) -> tuple[str, ...]:
    """Return the names of KV_PRECISIONS that the backend supports with this precision, the default first.

    Without an entry of the backend it is the format of the weights.
    """
    if precision in GGUF_PRECISIONS:
        precision = "q8_0"  # of weights that were quantised elsewhere, as of those that are quantised here
    return KV_CHOICES.get((backend, precision), (_OF_WEIGHTS.get(precision, "f16"),))


def resolved_kv(
    backend: str, precision: str, kv_precision: str, quantisation: Quantisation | None = None
) -> str:
    """Return the name in KV_PRECISIONS: for `auto` the default of the backend, else `kv_precision`.

    Args:
        quantisation: Of the checkpoint. If it defines the KV cache, no other type can be chosen.
    """
    if quantisation is not None and quantisation.kv_precision in KV_PRECISIONS:
        return quantisation.kv_precision
    return kv_choices(backend, precision)[0] if kv_precision == AUTO else kv_precision

"""Count the parameters and bytes of a checkpoint's tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engines.plan.checkpoint.tensors import DTYPE_BITS, TensorEntry

TOKEN_TABLES = (
    "embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight", "embed_in.weight",
)  # fmt: skip
"""Suffixes of the names of input embeddings, of which one row is read for each token."""
POSITION_TABLES = ("wpe.weight", "embed_positions.weight")
HEAD_NAMES = ("lm_head.weight", "embed_out.weight", "output.weight", "model.lm_head.weight")
BUFFERS = ("inv_freq", "masked_bias", "position_ids", "attn.bias_mask")
"""Saved by old versions of transformers; loaders compute them again."""
SCALES = (
    "scales", "qzeros", "g_idx", "weight_scale", "weight_scale_2", "weight_scale_inv", "input_scale",
    "weight_zero_point", "weight_shape", "absmax", "quant_map", "k_scale", "v_scale", "pre_quant_scale",
)  # fmt: skip
"""Tensors that quantisers store in addition to the weights."""
_PRECISION_NAMES = {
    "F64": "fp64",
    "F32": "fp32",
    "BF16": "bf16",
    "F16": "fp16",
    "F8_E4M3": "fp8",
    "I8": "int8",
}


@dataclass(frozen=True)
class Weights:
    """Parameters of a checkpoint by their role."""

    parameters: int
    """Total, a tied head counted once."""
    embedding: int
    """Token and position embeddings at the input."""
    head: int
    """The output projection to logits; if tied, it is the token embedding."""
    tied: bool
    expert: int
    """All experts of a mixture of experts together."""
    bytes_on_disk: int
    dtype: str
    """The type of most parameters: `fp32`, `bf16`, `fp16`, `fp8`, `int8`, or the name in the file."""


def add_up(entries: Mapping[str, TensorEntry], tie: bool, packed_bits: int | None) -> Weights:
    """Count the parameters of `entries`.

    Args:
        tie: whether the config ties the head to the input embedding.
        packed_bits: bits of a quantised weight, if several are packed into one stored integer; else None.
    """
    counts = {name: _parameters(name, entry, packed_bits) for name, entry in entries.items()}
    tokens = _sum(counts, TOKEN_TABLES)
    head = sum(count for name, count in counts.items() if name in HEAD_NAMES)
    tied = tokens > 0 and (head == 0 or (tie and head == tokens))
    types: Counter[str] = Counter()
    for name, entry in entries.items():
        types[entry.dtype] += counts[name]
    return Weights(
        parameters=sum(counts.values()) - (head if tied else 0),
        embedding=tokens + _sum(counts, POSITION_TABLES),
        head=tokens if tied else head,
        tied=tied,
        expert=sum(count for name, count in counts.items() if ".experts." in name),
        bytes_on_disk=sum(entry.size for entry in entries.values()),
        dtype=_dtype_name(types),
    )


def _parameters(name: str, entry: TensorEntry, packed_bits: int | None) -> int:
    """Return the parameters in a tensor; 0 for buffers and for quantisation scales."""
    is_mask = name.endswith("attn.bias") and len(entry.shape) == 4  # GPT-2 saved its causal mask
    if is_mask or name.endswith(BUFFERS):
        return 0
    if packed_bits is None:
        return entry.elements
    if name.endswith(SCALES) or ".quant_state." in name or ".nested_" in name:
        return 0
    is_packed = entry.dtype in ("I32", "U8", "I64")
    return entry.elements * DTYPE_BITS[entry.dtype] // packed_bits if is_packed else entry.elements


def _sum(counts: Mapping[str, int], endings: tuple[str, ...]) -> int:
    return sum(count for name, count in counts.items() if name.endswith(endings))


def _dtype_name(types: Counter[str]) -> str:
    common = types.most_common(1)
    return _PRECISION_NAMES.get(common[0][0], common[0][0].lower()) if common else "unknown"

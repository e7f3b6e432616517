"""Write small checkpoints with the standard library alone, in the format of safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path

WIDTH = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I32": 4, "U8": 1, "I64": 8}
LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 512,
}
Shapes = Mapping[str, tuple[int, ...]]


def llama_shapes(tied: bool = False) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of LLAMA."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (100, 64), "model.norm.weight": (64,)}
    for layer in range(2):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (64, 64),
            f"{prefix}.self_attn.k_proj.weight": (32, 64),
            f"{prefix}.self_attn.v_proj.weight": (32, 64),
            f"{prefix}.self_attn.o_proj.weight": (64, 64),
            f"{prefix}.mlp.gate_proj.weight": (128, 64),
            f"{prefix}.mlp.up_proj.weight": (128, 64),
            f"{prefix}.mlp.down_proj.weight": (64, 128),
            f"{prefix}.input_layernorm.weight": (64,),
            f"{prefix}.post_attention_layernorm.weight": (64,),
        }
    return shapes if tied else shapes | {"lm_head.weight": (100, 64)}


LLAMA_BODY = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 128 + 2 * 64) + 64
"""Parameters of LLAMA without embedding and head."""
LLAMA_TABLE = 100 * 64


def header(shapes: Shapes, dtype: str = "F32") -> dict[str, object]:
    """Return the JSON header of a safetensors file."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in shapes.items():
        size = prod(shape) * WIDTH[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    return entries


def safetensors(shapes: Shapes, dtype: str = "F32") -> bytes:
    """Return a safetensors file of zeros."""
    raw = json.dumps(header(shapes, dtype)).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(sum(prod(s) for s in shapes.values()) * WIDTH[dtype])


def write_checkpoint(
    folder: Path,
    config: Mapping[str, object] | None = None,
    shapes: Shapes | None = None,
    dtype: str = "F32",
    tokenizer: bool = True,
) -> Path:
    """Write a complete checkpoint and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(LLAMA if config is None else config))
    weights = safetensors(llama_shapes() if shapes is None else shapes, dtype)
    (folder / "model.safetensors").write_bytes(weights)
    if tokenizer:
        (folder / "tokenizer.json").write_text("{}")
        (folder / "tokenizer_config.json").write_text("{}")
    return folder

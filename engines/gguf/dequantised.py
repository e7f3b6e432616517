"""The dequantised form of a GGUF file: which files have one, and its configuration for transformers.

transformers has a reader too (`gguf_file=`). It needs the package accelerate, does not join the parts of a
model, believes each length in the file, and drops the factors of RoPE that Llama 3.1 and later have: the
reference would be another model. Here metadata and tensors that are not understood are refused instead.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.gguf.model_file import GgufModel
from engines.gguf.quantisation import tensors_by_type

ARCHITECTURES = (
    "llama", "qwen2", "qwen3", "smollm3", "gemma", "granite", "phi3", "olmo2", "seed_oss", "arcee",
)  # fmt: skip
"""Compared with transformers in tests, tensor by tensor."""
INTERLEAVED = ("llama", "smollm3", "granite", "arcee")
"""Architectures whose rows of query and key are stored with the halves of a head alternating."""
ADDS_ONE_TO_NORMS = ("gemma",)
"""Architectures whose norms are stored as 1 + the weight that transformers has."""
ROPE_FACTORS = "rope_freqs.weight"
"""What RoPE's frequencies are divided by."""
_NOT_READ = ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64", "Q1_0")
"""Types that `gguf.dequantize` does not have."""
_IGNORED = ("vocab_size", "attention.causal", "attention.sliding_window", "tensor_data_layout")
"""What llama.cpp ignores in these architectures, or what the tokens say again."""
_READ = (
    "context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count",
    "rope.freq_base", "attention.layer_norm_rms_epsilon",
)  # fmt: skip
_GRANITE = {
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


def why_not_dequantised(model: GgufModel, architecture: str, config: Mapping[str, object]) -> str:
    """Return why the file has no dequantised form here, as a sentence; empty if it has one.

    Args:
        config: as `config_of` returns it.
    """
    if architecture not in ARCHITECTURES:
        return f"The dequantised form of {architecture} is not known here."
    odd = next((name for name in tensors_by_type(model) if name in _NOT_READ), "")
    if odd:
        return f"Its tensors in {odd} cannot be dequantised."
    known = (*_READ, *_IGNORED, *(_GRANITE if architecture == "granite" else ()))
    for key, value in model.metadata.items():
        prefix, _, name = key.partition(".")
        if prefix != architecture or (name in known and not isinstance(value, list)):
            continue
        if value not in (0, "", "none"):  # False is 0
            return f"Its metadata have {key[:60]!a}, which is not applied to the dequantised form."
    return _why_not_heads(model, architecture, config)


def _why_not_heads(model: GgufModel, architecture: str, config: Mapping[str, object]) -> str:
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if not isinstance(hidden, int) or not isinstance(heads, int):
        return "It has no attention heads."
    key = config.get("head_dim", hidden // heads)
    value = model.metadata.get(f"{architecture}.attention.value_length", key)
    rotated = model.metadata.get(f"{architecture}.rope.dimension_count", key)
    if value != key or rotated != key:
        return "Its heads have a partial rotary embedding or values of another width."
    return ""


def dequantised_config(
    model: GgufModel, architecture: str, config: Mapping[str, object]
) -> dict[str, object]:
    """Return the fields of the configuration in transformers, without RoPE's factors.

    Args:
        config: as `config_of` returns it.
    """
    fields = {name: value for name, value in config.items() if name != "rope_theta"}
    fields |= {
        name: model.metadata[f"{architecture}.{key}"]
        for key, name in _GRANITE.items()
        if f"{architecture}.{key}" in model.metadata
    }
    # Defaults of transformers' classes would be those of one checkpoint of the family.
    fields |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    fields["tie_word_embeddings"] = "output.weight" not in model.tensors
    if architecture != "seed_oss":  # it has biases for query, key and value only, by default
        fields["attention_bias"] = "blk.0.attn_output.bias" in model.tensors
    fields["mlp_bias"] = "blk.0.ffn_down.bias" in model.tensors
    return fields

"""Read the shape of a decoder from its config.json.

Families use different names for the same field: GPT-2 has `n_embd` where Llama has `hidden_size`. The
alternatives are those of `attribute_map` in transformers' configurations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import broken
from engines.plan.checkpoint.layer_kinds import (
    Kind,
    attention_kinds,
    is_without_attention,
    layer_kinds,
    window_of,
)
from engines.plan.checkpoint.text_part import is_wrapper, text_config
from engines.plan.checkpoint.transformers_models import lacks_causal_model

CAUSAL_SUFFIXES = ("ForCausalLM", "LMHeadModel")
"""Suffixes of the class names of text decoders in transformers."""
WRAPPER_SUFFIXES = ("ForConditionalGeneration", "ForImageTextToText")
"""Suffixes of the class names of models whose text decoder is a part."""
_NAMES = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "n_embed"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "head_dim": ("head_dim",),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "vocabulary": ("vocab_size", "padded_vocab_size"),
    "max_positions": ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"),
    "kv_lora_rank": ("kv_lora_rank",),
    "qk_rope_head_dim": ("qk_rope_head_dim",),
    "qk_nope_head_dim": ("qk_nope_head_dim",),
    "v_head_dim": ("v_head_dim",),
    "global_head_dim": ("global_head_dim",),
    "global_kv_heads": ("num_global_key_value_heads",),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok", "num_experts_per_token"),
}
_HEAD_DIMS = {
    "gpt_oss": 64,
    **dict.fromkeys(
        ("qwen3", "ernie4_5", "glm", "glm4", "helium", "internlm3", "llama4_text", "ministral3", "nemotron_h",
         "seed_oss"),
        128,
    ),
    **dict.fromkeys(
        ("gemma", "gemma2", "gemma3_text", "gemma3n_text", "gemma4_text", "qwen3_next", "qwen3_5_text",
         "qwen3_5_moe_text"),
        256,
    ),
}  # fmt: skip
"""Head sizes of configs without the field, where they are not hidden size / heads."""
_LIMITS = {"layers": 10_000, "experts": 100_000, "active_experts": 100_000, "max_positions": 2**40}
_LIMIT = 2**31
"""Far above any model: a larger number means a damaged file and would overflow the estimates."""


@dataclass(frozen=True)
class KVLayer:
    """The keys and values of one layer."""

    heads: int
    key_dim: int
    """Values of the key of one token and head."""
    value_dim: int
    window: int | None = None
    """Tokens that the layer sees; None for all."""

    def tokens(self, context: int) -> int:
        """Return how many of `context` tokens are kept: with the next one they are the window."""
        return min(context, self.window - 1) if self.window else context


@dataclass(frozen=True)
class DecoderShape:
    """The counts that determine the size of a decoder."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    max_positions: int | None
    """Tokens that the positions were trained for; None where the config does not say."""
    kv_layers: tuple[KVLayer, ...]
    """The layers that have keys and values of their own."""
    active_expert_share: float
    """Share of a layer's experts that are active for one token; 1 without experts."""
    attention_layers: tuple[KVLayer, ...] = ()
    """What a graph keeps: each layer with attention has keys and values for itself, none is latent."""

    @property
    def sliding_window(self) -> int | None:
        """Tokens of the layers that see only a window; None without such layers."""
        return max((layer.window for layer in self.kv_layers if layer.window), default=None)


def causal_architecture(config: Mapping[str, object], file: Path) -> str:
    """Return the class name of the text decoder that `config` describes.

    Raises:
        EngineError: the config has no architecture (`broken-config`), or not a decoder (`not-causal-lm`).
    """
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    if not isinstance(first, str) or not first.isidentifier() or len(first) > 120:
        raise broken(file, "broken-config", "it has no architecture")
    if is_wrapper(config):
        _refuse_without_text_model(first, text_config(config))
    elif not first.endswith(CAUSAL_SUFFIXES) or isinstance(config.get("vision_config"), dict):
        raise EngineError(
            "not-causal-lm",
            f"{first} is not a text decoder that can chat.",
            f"Choose a checkpoint whose architecture ends in {' or '.join(CAUSAL_SUFFIXES)}.",
        )
    return first


def _refuse_without_text_model(architecture: str, text: Mapping[str, object]) -> None:
    """Refuse a wrapper whose text part is an encoder, or a decoder that transformers has only as a part."""
    model_type = str(text.get("model_type"))[:80]
    decodes = architecture.endswith((*CAUSAL_SUFFIXES, *WRAPPER_SUFFIXES))
    if not decodes or text.get("is_encoder_decoder") is True or lacks_causal_model(model_type):
        raise EngineError(
            "not-causal-lm",
            f"{architecture} has no text decoder that the installed transformers runs: {model_type!a}.",
            "Choose a text model, or upgrade transformers.",
        )


def read_shape(config: Mapping[str, object], file: Path) -> DecoderShape:
    """Return the shape of the text decoder in `config`, which was read from `file`.

    Raises:
        EngineError: a number is missing, has the wrong type or is out of range (`broken-config`).
    """
    config = text_config(config)
    number = {name: _number(config, name, file) for name in _NAMES}
    if is_without_attention(config):
        number["heads"] = number["heads"] or 1
    layers, hidden, heads, vocabulary = (
        _required(number, name, file) for name in ("layers", "hidden", "heads", "vocabulary")
    )
    kv_heads = _kv_heads(config, number["kv_heads"], heads)
    head_dim = number["head_dim"] or _HEAD_DIMS.get(str(config.get("model_type"))) or max(1, hidden // heads)
    usual = KVLayer(kv_heads, head_dim, head_dim)
    return DecoderShape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=number["intermediate"] or 4 * hidden,
        vocabulary=vocabulary,
        max_positions=number["max_positions"],
        kv_layers=tuple(
            _kv_layer(config, number, kind, replace(usual, window=window_of(config, kind)))
            for kind in layer_kinds(config, layers)
            if kind != "none"
        ),
        active_expert_share=min(1.0, (number["active_experts"] or 1) / (number["experts"] or 1)),
        attention_layers=tuple(
            _expanded(number, heads) or _kv_layer(config, number, kind, usual)
            for kind in attention_kinds(config, layers)
            if kind != "none"
        ),
    )


def _expanded(number: Mapping[str, int | None], heads: int) -> KVLayer | None:
    """Return the keys and values of each head with MLA, as attention reads them; None without MLA."""
    rotated, rest, value = (number[name] for name in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"))
    if not (number["kv_lora_rank"] and rotated and rest and value):
        return None
    return KVLayer(heads, rotated + rest, value)


def _number(config: Mapping[str, object], name: str, file: Path) -> int | None:
    key = next((key for key in _NAMES[name] if config.get(key) is not None), None)
    if key is None:
        return None
    value = config[key]
    if name == "intermediate" and isinstance(value, list) and value:
        value = value[0]  # Gemma 3n has one for each layer
    if type(value) is not int or not 0 < value <= _LIMITS.get(name, _LIMIT):
        # Some configs switch a feature off with 0 or -1.
        if type(value) is int and value <= 0 and name not in ("layers", "hidden", "heads", "vocabulary"):
            return None
        raise broken(file, "broken-config", f"{key} is {str(value)[:40]!r}")
    return value


def _required(number: Mapping[str, int | None], name: str, file: Path) -> int:
    value = number[name]
    if value is None:
        raise broken(file, "broken-config", f"it has no {_NAMES[name][0]}")
    return value


def _kv_heads(config: Mapping[str, object], named: int | None, heads: int) -> int:
    # Falcon-7B and StarCoder mark multi-query attention (one KV head) with a flag, which is on by default.
    default = config.get("model_type") in ("falcon", "gpt_bigcode")
    if config.get("multi_query", default) is True and config.get("new_decoder_architecture") is not True:
        return 1
    return named or heads


def _kv_layer(
    config: Mapping[str, object], number: Mapping[str, int | None], kind: Kind, usual: KVLayer
) -> KVLayer:
    """Return what a layer keeps: with MLA one latent vector and the rotated part of the key."""
    if number["kv_lora_rank"] and number["qk_rope_head_dim"]:
        return replace(usual, heads=1, key_dim=number["kv_lora_rank"], value_dim=number["qk_rope_head_dim"])
    if config.get("model_type") == "falcon" and config.get("new_decoder_architecture") is True:
        return replace(usual, heads=number["heads"] or 1)  # repeated for each head before they are kept
    if config.get("model_type") != "gemma4_text" or kind != "full":
        return usual
    width = number["global_head_dim"] or 512
    heads = number["global_kv_heads"] if config.get("attention_k_eq_v") is True else None
    return replace(usual, heads=heads or usual.heads, key_dim=width, value_dim=width)

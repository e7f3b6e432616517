"""Read the shape of a decoder from its config.json.

Families use different names for the same field: GPT-2 has `n_embd` where Llama has `hidden_size`. The
alternatives are those of `attribute_map` in transformers' configurations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import broken
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
    "sliding_window": ("sliding_window",),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok", "num_experts_per_token"),
}
_LIMITS = {"layers": 10_000, "experts": 100_000, "active_experts": 100_000, "max_positions": 2**40}
_LIMIT = 2**31
"""Far above any model: a larger number means a damaged file and would overflow the estimates."""


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
    full_attention_layers: int
    """Layers whose KV cache grows with the context."""
    sliding_attention_layers: int
    """Layers whose KV cache is limited to the sliding window."""
    sliding_window: int | None
    """Tokens; None without such layers."""
    active_expert_share: float
    """Share of a layer's experts that are active for one token; 1 without experts."""


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
    layers, hidden, heads, vocabulary = (
        _required(number, name, file) for name in ("layers", "hidden", "heads", "vocabulary")
    )
    sliding, full = _attention_layers(config, layers, number["sliding_window"])
    return DecoderShape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_kv_heads(config, number["kv_heads"], heads),
        head_dim=number["head_dim"] or max(1, hidden // heads),
        intermediate=number["intermediate"] or 4 * hidden,
        vocabulary=vocabulary,
        max_positions=number["max_positions"],
        full_attention_layers=full,
        sliding_attention_layers=sliding,
        sliding_window=number["sliding_window"] if sliding else None,
        active_expert_share=min(1.0, (number["active_experts"] or 1) / (number["experts"] or 1)),
    )


def _number(config: Mapping[str, object], name: str, file: Path) -> int | None:
    key = next((key for key in _NAMES[name] if config.get(key) is not None), None)
    if key is None:
        return None
    value = config[key]
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
    # Falcon-7B and similar models mark multi-query attention (one KV head) with a flag.
    if config.get("multi_query") is True and config.get("new_decoder_architecture") is not True:
        return 1
    return named or heads


def _attention_layers(config: Mapping[str, object], layers: int, window: int | None) -> tuple[int, int]:
    """Return the number of layers with (sliding-window, full) attention; other layers have no KV cache."""
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and len(kinds) == layers:
        sliding = sum(kind == "sliding_attention" for kind in kinds) if window else 0
        return sliding, sum(
            isinstance(kind, str) and kind.endswith("attention") for kind in kinds
        ) - sliding - sum(kind == "linear_attention" for kind in kinds)
    # Qwen2 and similar configs contain a window that is switched off.
    everywhere = window is not None and config.get("use_sliding_window") is not False
    return (layers, 0) if everywhere else (0, layers)

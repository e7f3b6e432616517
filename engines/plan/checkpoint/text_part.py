"""The text decoder inside a checkpoint that also reads images or sound: its config and its tensors.

Such a config.json has the decoder's fields in `text_config`, and the decoder's tensors have a prefix.
Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

_Tensor = TypeVar("_Tensor")

TEXT_NAMES = {
    r"^(?:model\.)?(?:language_model|text_model)\.lm_head\.": "lm_head.",
    r"^(?:model\.)?(?:language_model|text_model)\.transformer\.": "transformer.",
    r"^(?:model\.)?(?:language_model|text_model)\.(?:model\.)?": "model.",
}
"""From the names of the decoder's tensors to those in its own class, as regular expressions."""
HEADS = ("lm_head.", "model.lm_head.")
_OUTER = ("quantization_config", "auto_map", "tie_word_embeddings")
"""Fields that stand outside of `text_config`."""
_DEFAULTS: dict[str, dict[str, object]] = {
    "gemma3_text": {
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
        "max_position_embeddings": 131_072, "sliding_window": 4096,
    },
    "llama": {
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "max_position_embeddings": 2048,
    },
    "mistral": {
        "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131_072,
    },
    "qwen2": {
        "vocab_size": 151_936, "hidden_size": 4096, "intermediate_size": 22_016, "num_hidden_layers": 32,
        "num_attention_heads": 32, "max_position_embeddings": 32_768,
    },
}  # fmt: skip
"""Defaults of transformers for fields that a `text_config` leaves out, as Gemma 3 4B and LLaVA 1.5 do."""


def is_wrapper(config: Mapping[str, object]) -> bool:
    """Return whether the text decoder is a part of what `config` describes."""
    return isinstance(config.get("text_config"), dict)


def text_config(config: Mapping[str, object]) -> Mapping[str, object]:
    """Return the config of the text decoder: `text_config` with defaults, or `config` itself."""
    inner: Any = config.get("text_config")
    if not isinstance(inner, dict):
        return config
    outer = {name: config[name] for name in _OUTER if name in config}
    defaults = _DEFAULTS.get(str(inner.get("model_type")), {})
    return {**defaults, **inner, **outer, "architectures": config.get("architectures")}


def text_tensors(tensors: Mapping[str, _Tensor]) -> dict[str, _Tensor]:
    """Return the tensors of a wrapper's text decoder, by the names of its own class; others are left out."""
    renamed = {text_name(name): tensor for name, tensor in tensors.items() if text_name(name)}
    return renamed or dict(tensors)


def text_name(name: str) -> str:
    """Return the name of a wrapper's tensor in the text decoder's own class; empty if it has none there."""
    for pattern, replacement in TEXT_NAMES.items():
        found, count = re.subn(pattern, replacement, name, count=1)
        if count:
            return found
    return name.removeprefix("model.") if name.startswith(HEADS) else ""

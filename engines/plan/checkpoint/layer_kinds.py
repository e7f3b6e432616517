"""What each layer of a decoder sees and keeps of earlier tokens: everything, a window, a state, or nothing.

Many configs say it in `layer_types`; the first ones of a family leave it to a rule of transformers, which is
repeated here. Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

Kind = Literal["full", "sliding", "chunked", "none"]
"""`none`: no keys and values; a layer with a recurrent state, with experts only, or that shares another's."""
Config = Mapping[str, object]

_KINDS: dict[str, Kind] = {
    "full_attention": "full",
    "attention": "full",
    "hybrid": "full",
    "indexed_attention": "full",
    "sliding_attention": "sliding",
    "hybrid_sliding": "sliding",
    "chunked_attention": "chunked",
}
_STATES_ONLY = ("mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm")
_WINDOWS = {
    "mistral": 4096, "ministral": 4096, "qwen2": 4096, "qwen3": 4096, "qwen2_moe": 4096, "qwen3_moe": 4096,
    "gemma2": 4096, "gemma3_text": 4096, "gemma3n_text": 512, "gemma4_text": 512,
    "gpt_oss": 128, "cohere2": 4096, "olmo3": 4096, "exaone4": 4096, "recurrent_gemma": 2048,
}  # fmt: skip
"""Windows of configs without the field."""
_EVERY = {
    "gemma2": 2, "gemma3_text": 6, "gemma3n_text": 5, "gemma4_text": 6, "cohere2": 4, "gpt_oss": 2,
    "olmo3": 4, "exaone4": 4,
}  # fmt: skip
"""Families of which each n-th layer has full attention, and the layers between them a window."""
_LINEAR = {"qwen3_next": 4, "qwen3_5_text": 4, "qwen3_5_moe_text": 4, "olmo_hybrid": 4}
"""Families of which each n-th layer has full attention, and the layers between them a state."""
_UNLISTED = ("mistral", "ministral3", "phi3", "starcoder2")
"""Families of which all layers have the window, whatever is listed in `layer_types`."""
_SWITCHED = ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "smollm3")
"""Families whose window is in use only with `use_sliding_window`."""


def layer_kinds(config: Config, layers: int) -> list[Kind]:
    """Return what each layer of a text decoder keeps; layers that share the cache of another keep nothing."""
    kinds = attention_kinds(config, layers)
    default = 15 if config.get("model_type") == "gemma3n_text" else 0
    shared = min(layers, _whole(config, "num_kv_shared_layers", default))
    return kinds[: layers - shared] + ["none"] * shared


def attention_kinds(config: Config, layers: int) -> list[Kind]:
    """Return what each layer of a text decoder sees, in its own cache or in that of another layer."""
    kinds = _kinds(config, layers)
    return [*kinds[:-1], "full"] if config.get("model_type") == "gemma4_text" else kinds


def is_switched_off(config: Config) -> bool:
    """Return whether a family that has a switch for its windows has them switched off."""
    has_switch = config.get("model_type") in _SWITCHED or "use_sliding_window" in config
    return has_switch and config.get("use_sliding_window") is not True


def is_without_attention(config: Config) -> bool:
    """Return whether no layer of the family has keys and values, nor heads."""
    return config.get("model_type") in _STATES_ONLY


def has_state_beside(config: Config) -> bool:
    """Return whether layers keep a recurrent state beside their keys and values."""
    named = config.get("layer_types")
    kinds = named if isinstance(named, list) else []
    return config.get("model_type") == "falcon_h1" or any(str(kind).startswith("hybrid") for kind in kinds)


def window_of(config: Config, kind: Kind) -> int | None:
    """Return the tokens that a layer sees; None for all."""
    if kind == "chunked":
        return _whole(config, "attention_chunk_size", 8192)
    if kind != "sliding":
        return None
    default = _WINDOWS.get(str(config.get("model_type")), 0)
    return _whole(config, "sliding_window", _whole(config, "attention_window_size", default)) or None


def _kinds(config: Config, layers: int) -> list[Kind]:
    model_type = str(config.get("model_type"))
    for name in ("layer_types", "layers_block_type"):
        named = config.get(name)
        if isinstance(named, list) and len(named) == layers and model_type not in _UNLISTED:
            return [_KINDS.get(str(kind), "none") for kind in named]
    if rule := _RULES.get(model_type):
        return [rule(config, layer) for layer in range(layers)]
    if is_without_attention(config):
        return ["none"] * layers
    if model_type in _LINEAR:
        every = max(1, _whole(config, "full_attention_interval", _LINEAR[model_type]))
        return ["none" if (layer + 1) % every else "full" for layer in range(layers)]
    return _windows(config, model_type, layers)


def _windows(config: Config, model_type: str, layers: int) -> list[Kind]:
    window = window_of(config, "sliding")
    if "sliding_window" in config and config["sliding_window"] is None:
        window = None
    if window is None or is_switched_off(config):
        return ["full"] * layers
    if model_type == "smollm3":
        every = max(1, _whole(config, "no_rope_layer_interval", 4))
        rotated = [_at(config, "no_rope_layers", layer, (layer + 1) % every) for layer in range(layers)]
        return ["full" if rotates else "sliding" for rotates in rotated]
    if model_type in _SWITCHED:
        first = _whole(config, "max_window_layers", 28)
        return ["sliding" if layer >= first else "full" for layer in range(layers)]
    every = _pattern(config, _EVERY.get(model_type, 0))
    return ["sliding" if not every or (layer + 1) % every else "full" for layer in range(layers)]


def _pattern(config: Config, default: int) -> int:
    """Return after how many layers one has full attention; 0 if none has."""
    pattern = config.get("sliding_window_pattern")
    return len(pattern) if isinstance(pattern, str) else _whole(config, "sliding_window_pattern", default)


def _whole(config: Config, name: str, default: int) -> int:
    value = config.get(name)
    return value if type(value) is int and 0 <= value <= 2**31 else default


def _listed(config: Config, name: str, layer: int) -> bool:
    named = config.get(name)
    return isinstance(named, list) and layer in named


def _at(config: Config, name: str, layer: int, default: object = None) -> object:
    """Return an element of a list or a text with one for each layer."""
    named = config.get(name)
    return named[layer] if isinstance(named, list | str) and layer < len(named) else default


def _lfm2(config: Config, layer: int) -> Kind:
    full = config.get("full_attn_idxs") is None or _listed(config, "full_attn_idxs", layer)
    return "full" if full else "none"


def _jamba(config: Config, layer: int) -> Kind:
    period = max(1, _whole(config, "attn_layer_period", 8))
    return "full" if layer % period == _whole(config, "attn_layer_offset", 4) else "none"


def _bamba(config: Config, layer: int) -> Kind:
    return "full" if _listed(config, "attn_layer_indices", layer) else "none"


def _nemotron_h(config: Config, layer: int) -> Kind:
    return "full" if _at(config, "hybrid_override_pattern", layer) == "*" else "none"


def _llama4(config: Config, layer: int) -> Kind:
    every = max(1, _whole(config, "no_rope_layer_interval", 4))
    return "chunked" if _at(config, "no_rope_layers", layer, (layer + 1) % every) else "full"


def _recurrent_gemma(config: Config, layer: int) -> Kind:
    blocks = config.get("block_types")
    names = blocks if isinstance(blocks, list) and blocks else ["recurrent", "recurrent", "attention"]
    return "sliding" if names[layer % len(names)] == "attention" else "none"


def _minimax(config: Config, layer: int) -> Kind:
    return "full" if _at(config, "attn_type_list", layer, (layer + 1) % 2) else "none"


_RULES: dict[str, Callable[[Config, int], Kind]] = {
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
    "jamba": _jamba,
    "bamba": _bamba,
    "nemotron_h": _nemotron_h,
    "granitemoehybrid": lambda config, layer: "none",
    "llama4_text": _llama4,
    "recurrent_gemma": _recurrent_gemma,
    "minimax": _minimax,
}

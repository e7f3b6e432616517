"""Which layers of a decoder have sliding-window attention.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from engines.plan.decoder.decoder_config import Config, broken, shown, unsupported

FULL = ("full_attention", "attention")
SLIDING = "sliding_attention"


def layer_types(config: Config, count: int) -> list[str]:
    """Return `full_attention` or `sliding_attention` for each of `count` layers.

    Raises:
        EngineError: `unsupported-architecture`: a layer of another type; `broken-config`.
    """
    listed = config.data.get("layer_types", config.data.get("layers_block_type"))
    rule = config.family.windows
    if listed is None or (rule is not None and not rule.listed):
        window = _window(config)
        types = [SLIDING if window and _slides(config, index) else FULL[0] for index in range(count)]
        return _with_full_end(config, types)
    if not isinstance(listed, list) or len(listed) < count:
        raise broken(f"layer_types is not a list of at least {count} names")
    other = next((kind for kind in listed[:count] if kind not in (*FULL, SLIDING)), None)
    if other is not None:
        raise unsupported(f"a layer of type {shown(other)}")
    return _with_full_end(config, [SLIDING if kind == SLIDING else FULL[0] for kind in listed[:count]])


def _with_full_end(config: Config, types: list[str]) -> list[str]:
    """Return the types; the last layer of Gemma 4 has full attention, whatever is listed."""
    return [*types[:-1], FULL[0]] if config.model_type == "gemma4_text" else types


def read_windows(config: Config, types: list[str]) -> list[int | None]:
    """Return the window of each layer in tokens, which includes the token itself; None for full attention.

    Raises:
        EngineError: `unsupported-architecture`: a layer should have a window, and the family has none.
    """
    window = _window(config)
    if window is None and SLIDING in types:
        raise unsupported(f"a layer of type {shown(SLIDING)} without a window")
    longest = config.size("max_position_embeddings", config.family.positions)
    reached = window if window is not None and window < longest else None
    return [reached if kind == SLIDING else None for kind in types]


def _window(config: Config) -> int | None:
    rule = config.family.windows
    if rule is None or (rule.switch and not config.flag(rule.switch)):
        return None
    if "sliding_window" in config.data and config.data["sliding_window"] is None:
        return None
    if "sliding_window" not in config.data and rule.default is None:
        return None
    return config.size("sliding_window", rule.default)


def _slides(config: Config, index: int) -> bool:
    """Return whether a layer has the window, by the rule of its family."""
    rule = config.family.windows
    assert rule is not None
    if config.model_type in ("qwen2", "qwen3"):
        return index >= _first_window_layer(config)
    if config.model_type == "smollm3":
        return not rotating_layers(config, index + 1)[index]
    if rule.every is None:
        return True
    every = config.data.get(rule.pattern_field)
    if isinstance(every, str):  # EXAONE 4 writes LLLG for 4
        every = len(every)
    every = rule.every if every is None else every
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise broken(f"{rule.pattern_field} is {shown(every)}")
    return (index + 1) % every != 0


def _first_window_layer(config: Config) -> int:
    value = config.data.get("max_window_layers")
    return 28 if not isinstance(value, int) else max(value, 0)


def rotating_layers(config: Config, count: int) -> list[bool]:
    """Return whether RoPE is applied in each layer.

    Raises:
        EngineError: `broken-config`.
    """
    if config.data.get("position_embedding_type") == "nope" or (
        config.model_type == "granitemoehybrid" and config.data.get("position_embedding_type") is None
    ):
        return [False] * count
    if config.family.rotates == "sliding":
        types = layer_types(config, count)
        everywhere = config.model_type == "exaone4" and _window(config) is None
        return [everywhere or kind == SLIDING for kind in types]
    if config.model_type != "smollm3":
        return [True] * count
    listed = config.data.get("no_rope_layers")
    if listed is None:
        interval = config.size("no_rope_layer_interval", 4)
        return [(index + 1) % interval != 0 for index in range(count)]
    # Despite its name, 1 in no_rope_layers marks a layer with RoPE.
    if not isinstance(listed, list) or len(listed) < count or any(value not in (0, 1) for value in listed):
        raise broken(f"no_rope_layers is not a list of at least {count} zeros and ones")
    return [bool(value) for value in listed[:count]]

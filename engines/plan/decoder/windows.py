"""Which layers of a decoder have sliding-window attention, and which have RoPE.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.plan.checkpoint.layer_kinds import Kind, attention_kinds, is_switched_off, window_of
from engines.plan.decoder.decoder_config import Config, broken, shown, unsupported

FULL, SLIDING = "full_attention", "sliding_attention"
_TYPES: dict[Kind, str] = {"full": FULL, "sliding": SLIDING}


def layer_types(config: Config, count: int) -> list[str]:
    """Return FULL or SLIDING for each of `count` layers.

    Raises:
        EngineError: `unsupported-architecture`: a layer of another type, or a window in a family without;
            `broken-config`.
    """
    data = {**config.data, "model_type": config.model_type}
    listed = data.pop("layer_types", data.pop("layers_block_type", None))
    if listed is not None:
        if not isinstance(listed, list) or len(listed) < count:
            raise broken(f"layer_types is not a list of at least {count} names")
        data["layer_types"] = listed[:count]
    if not config.family.windows:
        data.pop("sliding_window", None)
    _check_numbers(config, data)
    types = []
    for index, kind in enumerate(attention_kinds(data, count)):
        if kind not in _TYPES:
            raise unsupported(f"a layer of type {shown(listed[index] if listed else kind)}")
        types.append(_TYPES[kind])
    if SLIDING in types and (not config.family.windows or is_switched_off(data)):
        raise unsupported(f"a layer of type {shown(SLIDING)} without a window")
    return types


def _check_numbers(config: Config, data: Mapping[str, object]) -> None:
    """Check the numbers that `layer_kinds`, which also estimates, replaces by defaults."""
    if data.get("sliding_window") is not None and not is_switched_off(data):
        config.size("sliding_window")
    pattern = data.get("sliding_window_pattern")
    if "layer_types" not in data and pattern is not None and not isinstance(pattern, str):
        config.size("sliding_window_pattern")


def read_windows(config: Config, types: list[str]) -> list[int | None]:
    """Return the window of each layer in tokens, which includes the token itself; None for full attention.

    Raises:
        EngineError: `broken-config`.
    """
    if SLIDING not in types:
        return [None] * len(types)
    window = config.size("sliding_window", window_of({"model_type": config.model_type}, "sliding"))
    longest = config.size("max_position_embeddings", config.family.positions)
    return [window if kind == SLIDING and window < longest else None for kind in types]


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
        everywhere = config.model_type == "exaone4" and config.data.get("sliding_window", 0) is None
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

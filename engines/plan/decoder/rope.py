"""Rotary position embedding: the frequencies that a configuration asks for.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from engines.plan.decoder.decoder_config import Config, broken, unsupported

MOST_TURNS = 1 << 14
"""The largest width of a head; a configuration is untrusted."""


@dataclass(frozen=True)
class Rope:
    """A rotary position embedding: pair i of the rotated part of a head turns by position * frequencies[i].

    The rotated part is the first 2 * len(frequencies) values of a head. Source: Su et al. 2021
    (arXiv:2104.09864).
    """

    frequencies: tuple[float, ...]
    """In radians per position."""
    factor: float = 1.0
    """Of cosine and sine, and so, squared, of the scores."""
    interleaved: bool = False
    """Pair i is (2i, 2i + 1); else (i, i + half of the rotated part)."""

    @property
    def width(self) -> int:
        """Return how many values of a head are rotated."""
        return 2 * len(self.frequencies)


@dataclass(frozen=True)
class PositionScale:
    """A factor of the query that grows with the position, 1 + beta * ln(1 + floor(position / original)).

    Source: Llama 4's attention temperature, as in `get_llama_4_attn_scale` of transformers.
    """

    beta: float
    original_positions: int


def read_rope(config: Config, head_dim: int, layer_type: str = "full_attention") -> Rope:
    """Return the RoPE of the layers of one type.

    Args:
        head_dim: width of a head.
        layer_type: as in `layer_types` of a configuration.

    Raises:
        EngineError: `broken-config`, or `unsupported-architecture`: an unknown `rope_type`.
    """
    parameters = _parameters(config, layer_type)
    theta = parameters.number("rope_theta", _default_theta(config, layer_type))
    is_local = config.family.local_theta is not None and layer_type == "sliding_attention"
    share = parameters.number("partial_rotary_factor", 1.0 if is_local else config.family.partial_rotary)
    default = "default" if is_local or parameters.data.get("rope_theta") else config.family.rope_type
    kind = parameters.data.get("rope_type") or parameters.data.get("type") or default
    if not isinstance(kind, str) or kind not in _KINDS:
        raise unsupported(f"RoPE scaling of type {str(kind)[:40]!r}")
    if config.model_type == "phi3" and kind in ("su", "yarn"):
        kind = "longrope"
    width = head_dim if kind == "proportional" else int(head_dim * min(share, 1.0))
    if width % 2 or not 0 < width <= MOST_TURNS:
        raise broken(f"RoPE needs an even number of rotated values and there are {width}")
    plain = [theta ** (-2 * pair / width) for pair in range(width // 2)]
    frequencies, factor = _KINDS[kind](_Scaling(config, parameters, theta, share, width), plain)
    return Rope(tuple(frequencies), factor, config.family.interleaved)


def position_scale(config: Config) -> PositionScale | None:
    """Return the factor of queries by position; None if there is none."""
    parameters = _parameters(config, "full_attention")
    if parameters.data.get("llama_4_scaling_beta") is None:
        return None
    original = parameters.size("original_max_position_embeddings")
    return PositionScale(parameters.number("llama_4_scaling_beta"), original)


def longest_context(config: Config) -> int:
    """Return how many positions the frequencies hold for.

    LongRoPE has other frequencies for texts that are longer than those of the pre-training: an engine has
    one set, for the shorter texts. Beyond `max_position_embeddings` dynamic scaling changes them with each
    token.
    """
    longest = config.size("max_position_embeddings", config.family.positions)
    parameters = _parameters(config, "full_attention")
    if parameters.data.get("long_factor") is None:
        return longest
    return min(longest, _original_positions(config, parameters))


@dataclass(frozen=True)
class _Scaling:
    config: Config
    parameters: Config
    theta: float
    share: float
    width: int

    @property
    def original_positions(self) -> int:
        return _original_positions(self.config, self.parameters)

    @property
    def factor(self) -> float:
        """The factor of the context; the ratio of the two lengths if it is missing."""
        longest = self.config.size("max_position_embeddings", self.config.family.positions)
        return self.parameters.number("factor", longest / self.original_positions)


_Kind = Callable[[_Scaling, list[float]], tuple[list[float], float]]


def _default(_scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    return plain, 1.0


def _dynamic(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    """Stretch by `alpha`, as Hunyuan does. Other dynamic scaling begins beyond the longest context."""
    alpha = scaling.parameters.data.get("alpha")
    if not alpha or scaling.config.model_type != "hunyuan_v1_dense":
        return plain, 1.0
    if scaling.width == 2:
        raise broken("its RoPE rotates a single pair")
    theta = scaling.theta * scaling.parameters.number("alpha") ** (scaling.width / (scaling.width - 2))
    return [theta ** (-2 * pair / scaling.width) for pair in range(len(plain))], 1.0


def _linear(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    factor = scaling.parameters.number("factor")
    return [value / factor for value in plain], 1.0


def _proportional(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    """Rotate a share of the pairs; the others are in place, with a frequency of zero."""
    rotated = int(min(scaling.share, 1.0) * scaling.width // 2)
    factor = scaling.parameters.number("factor", 1.0)
    return [value / factor if pair < rotated else 0.0 for pair, value in enumerate(plain)], 1.0


def _llama3(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    """Stretch slow pairs. Source: `_compute_llama3_parameters` of transformers."""
    parameters = scaling.parameters
    factor = parameters.number("factor")
    low, high = parameters.number("low_freq_factor"), parameters.number("high_freq_factor")
    original = scaling.original_positions
    if high <= low:
        raise broken("high_freq_factor is not above low_freq_factor")

    def stretched(frequency: float) -> float:
        turns = original * frequency / (2 * math.pi)
        if turns > high:
            return frequency
        if turns < low:
            return frequency / factor
        smooth = (turns - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency

    return [stretched(value) for value in plain], 1.0


def _yarn(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    """Source: Peng et al. 2023 (arXiv:2309.00071), as in `_compute_yarn_parameters` of transformers."""
    parameters, factor = scaling.parameters, scaling.factor
    base, width = math.log(scaling.theta), scaling.width
    if base <= 0:
        raise broken("YaRN needs a rope_theta above 1")

    def pair_of(turns: float) -> float:
        return width * math.log(scaling.original_positions / (turns * 2 * math.pi)) / (2 * base)

    low = pair_of(parameters.number("beta_fast", 32.0))
    high = pair_of(parameters.number("beta_slow", 1.0))
    if parameters.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    spread = high - low or 0.001

    def blended(pair: int, frequency: float) -> float:
        ramp = min(max((pair - low) / spread, 0.0), 1.0)
        return frequency / factor * ramp + frequency * (1 - ramp)

    return [blended(pair, value) for pair, value in enumerate(plain)], _yarn_attention(parameters, factor)


def _yarn_attention(parameters: Config, factor: float) -> float:
    def scale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if parameters.data.get("attention_factor") is not None:
        return parameters.number("attention_factor")
    if parameters.data.get("mscale") and parameters.data.get("mscale_all_dim"):
        return scale(parameters.number("mscale")) / scale(parameters.number("mscale_all_dim"))
    return scale(1.0)


def _longrope(scaling: _Scaling, plain: list[float]) -> tuple[list[float], float]:
    """Divide each frequency by its factor for short texts; see `longest_context`.

    Source: Ding et al. 2024 (arXiv:2402.13753), as in `_compute_longrope_parameters` of transformers.
    """
    listed = scaling.parameters.data.get("short_factor")
    if not isinstance(listed, list) or len(listed) != len(plain):
        raise broken(f"short_factor of its RoPE is not a list of {len(plain)} numbers")
    factors = [
        scaling.parameters.with_value("short_factor", value).number("short_factor") for value in listed
    ]
    attention = 1.0
    if scaling.parameters.data.get("attention_factor") is not None:
        attention = scaling.parameters.number("attention_factor")
    elif scaling.factor > 1:
        attention = math.sqrt(1 + math.log(scaling.factor) / math.log(scaling.original_positions))
    return [value / by for value, by in zip(plain, factors, strict=True)], attention


_KINDS: dict[str, _Kind] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "proportional": _proportional,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
    "su": _longrope,
    "mrope": _default,
}


def _original_positions(config: Config, parameters: Config) -> int:
    name = "original_max_position_embeddings"
    longest = config.size("max_position_embeddings", config.family.positions)
    return parameters.size(name, config.size(name, longest))


def _default_theta(config: Config, layer_type: str) -> float:
    local = config.family.local_theta
    if local is None or layer_type != "sliding_attention":
        return config.number("rope_theta", config.family.theta)
    return config.number(local.name, local.default)


def _parameters(config: Config, layer_type: str) -> Config:
    """Return the fields of RoPE: `rope_parameters` of transformers 5, or the older `rope_scaling`."""
    scaling, found = config.data.get("rope_scaling"), config.data.get("rope_parameters")
    by_type = config.family.local_theta is not None
    if scaling and (not by_type or layer_type == "full_attention"):
        found = scaling
    elif by_type and found is None:
        found = {}
    found = found or {}
    if isinstance(found, dict) and any(isinstance(value, dict) for value in found.values()):
        found = found.get(layer_type) or {}
    if not isinstance(found, dict):
        raise broken("its RoPE parameters are not an object")
    outer = {"partial_rotary_factor": config.data.get("partial_rotary_factor")}
    return replace(config, data={**outer, **found})

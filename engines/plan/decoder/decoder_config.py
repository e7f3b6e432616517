"""Read `config.json` as untrusted input: every value is checked before anything is built from it.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES, parse_json
from engines.regular_file import read_regular

LARGEST_SIZE = 2**31
Activation = Literal["silu", "gelu", "gelu_tanh"]
ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}


@dataclass(frozen=True)
class _Family:
    """Defaults of transformers for fields that a `config.json` of this model_type leaves out."""

    positions: int = 2048
    epsilon: float = 1e-6
    head_dim: int | None = None
    """None: hidden size / heads."""
    theta: float = 10_000.0
    tied: bool = False


_FAMILIES = {
    "llama": _Family(),
    "mistral": _Family(positions=131_072),
    "qwen2": _Family(positions=32_768),
    "qwen3": _Family(positions=32_768, head_dim=128),
    "smollm3": _Family(positions=32_768, theta=2_000_000.0, tied=True),
    "phi3": _Family(positions=4096, epsilon=1e-5),
    "gpt2": _Family(positions=1024, epsilon=1e-5, tied=True),
}
MODEL_TYPES = tuple(_FAMILIES)
"""The architectures that a graph can be built for."""

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "logits_scaling": (1,),
    "logit_scale": (1,),
    "final_logit_softcapping": (),
    "attn_logit_softcapping": (),
    "embedding_multiplier": (1,),
    "residual_multiplier": (1,),
    "attention_multiplier": (),
    "num_experts": (0, 1),
    "num_local_experts": (0, 1),
    "n_routed_experts": (0, 1),
    "add_cross_attention": (False,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
}
"""Fields that change what a model computes, with the values (apart from null) that have no effect."""


def unsupported(what: str, hint: str = "Use the PyTorch backend for this checkpoint.") -> EngineError:
    """Return the error for a valid checkpoint with a feature `what` that is not supported."""
    return EngineError("unsupported-architecture", f"The checkpoint is not supported: it has {what}.", hint)


def broken(why: str, code: str = "broken-config") -> EngineError:
    """Return the error for a checkpoint whose files are invalid or inconsistent."""
    return EngineError(
        code, f"The checkpoint is invalid: {why}.", "Download it again, or fix its config.json."
    )


@dataclass(frozen=True)
class Config:
    """A configuration whose values are validated on access."""

    data: dict[str, object]
    model_type: str

    def size(self, name: str, default: int | None = None) -> int:
        """Return a positive integer; `default` if the field is missing or null.

        Raises:
            EngineError: `broken-config`: missing without a default, or another value.
        """
        value = self.data.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_SIZE:
            raise broken(f"{name} should be a positive whole number and is {_shown(value)}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a positive finite number; default and errors as in `size`."""
        value = self.data.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise broken(f"{name} should be a positive number and is {_shown(value)}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean; default and errors as in `size`."""
        value = self.data.get(name)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise broken(f"{name} should be true or false and is {_shown(value)}")
        return value

    @property
    def _family(self) -> _Family:
        return _FAMILIES[self.model_type]

    @property
    def default_positions(self) -> int:
        """Default of max_position_embeddings."""
        return self._family.positions

    @property
    def default_epsilon(self) -> float:
        """Default of rms_norm_eps."""
        return self._family.epsilon

    @property
    def default_head_dim(self) -> int | None:
        """Default of head_dim; None: hidden size / heads."""
        return self._family.head_dim

    @property
    def default_theta(self) -> float:
        """Default of rope_theta."""
        return self._family.theta

    @property
    def tied(self) -> bool:
        """Whether head and input embedding are one matrix."""
        return self.flag("tie_word_embeddings", self._family.tied)

    @property
    def attention_biased(self) -> bool:
        """Whether all four attention projections have a bias."""
        return self.model_type in ("llama", "qwen3", "smollm3") and self.flag("attention_bias")

    @property
    def mlp_biased(self) -> bool:
        """Whether the MLP's projections have a bias."""
        return self.model_type in ("llama", "smollm3") and self.flag("mlp_bias")

    @property
    def rope_parameters(self) -> Config:
        """The fields of RoPE: `rope_parameters` of transformers 5, or `rope_scaling` and `rope_theta`.

        Raises:
            EngineError: they are not an object, differ by layer, or rotate only a part of each head.
        """
        found = self.data.get("rope_scaling") or self.data.get("rope_parameters") or {}
        if not isinstance(found, dict):
            raise broken("its RoPE parameters are not an object")
        if any(isinstance(value, dict) for value in found.values()):
            raise unsupported("RoPE that differs by layer type")
        outer = {name: self.data.get(name) for name in ("rope_theta", "partial_rotary_factor")}
        parameters = Config({**outer, **found}, self.model_type)
        if (share := parameters.number("partial_rotary_factor", 1.0)) != 1:
            raise unsupported(f"partial rotary embedding ({share:g} of each head)")
        return parameters


def read_config(folder: Path) -> Config:
    """Return `config.json` of `folder`; only its model_type is checked here.

    Raises:
        EngineError: `broken-config`, or `unsupported-architecture` for a model_type that is not covered.
    """
    file = folder / "config.json"
    try:
        data = parse_json(read_regular(file, MAX_CONFIG_BYTES))
    except OSError as error:
        raise broken(f"its config.json cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise broken("its config.json is not JSON") from error
    if not isinstance(data, dict):
        raise broken("its config.json is not an object")
    model_type = data.get("model_type")
    if not isinstance(model_type, str):
        raise broken("its config.json has no model_type")
    if model_type not in _FAMILIES:
        raise unsupported(
            f"the architecture {model_type[:40]!r}",
            f"Supported: {', '.join(MODEL_TYPES)}. The PyTorch backend runs every model of transformers.",
        )
    return Config(data, model_type)


def refuse_unsupported_fields(config: Config) -> None:
    """Check that no field is set that changes the logits and is not supported.

    Raises:
        EngineError: `unsupported-architecture`, with the name of the field.
    """
    for name, neutral in _NEUTRAL.items():
        value = config.data.get(name)
        if value is not None and value not in neutral:
            raise unsupported(f"{name} = {_shown(value)}")
    quantisation = config.data.get("quantization_config")
    if quantisation is not None:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        raise unsupported(
            f"a checkpoint that is already quantised ({_shown(method)})", "Pick the unquantised checkpoint."
        )
    _refuse_sliding_window(config)


def _refuse_sliding_window(config: Config) -> None:
    types = config.data.get("layer_types")
    if types is not None:
        if not isinstance(types, list):
            raise broken("layer_types is not a list")
        other = next((kind for kind in types if kind != "full_attention"), None)
        if other is not None:
            raise unsupported(f"a layer of type {_shown(other)}")
    window = _window_in_use(config)
    if window is not None and window < config.size("max_position_embeddings", config.default_positions):
        raise unsupported(f"sliding-window attention (sliding_window = {window})")


def _window_in_use(config: Config) -> int | None:
    """Return the sliding window in tokens; None for full attention."""
    if config.model_type in ("llama", "gpt2"):
        return None
    switched = config.model_type in ("qwen2", "qwen3", "smollm3")
    if switched and not config.flag("use_sliding_window"):
        return None
    # Mistral without the field has a window of 4096, the default of transformers; null means no window.
    default = 4096 if config.model_type == "mistral" and "sliding_window" not in config.data else None
    if config.data.get("sliding_window") is None and default is None:
        return None
    return config.size("sliding_window", default)


def activation_of(config: Config, name: str, default: str) -> Activation:
    """Return the activation of the MLP.

    Raises:
        EngineError: `unsupported-architecture`: the activation is not supported.
    """
    value = config.data.get(name)
    value = default if value is None else value
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise unsupported(f"the activation {_shown(value)}")
    return ACTIVATIONS[value]


def _shown(value: object) -> str:
    """Return `value` for a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"

"""Read `config.json` as untrusted input: every value is checked before anything is built from it.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES, parse_json
from engines.plan.checkpoint.text_part import is_wrapper, text_config
from engines.plan.decoder.families import FAMILIES, WRAPPERS, Family, Flag, Number
from engines.regular_file import read_regular

LARGEST_SIZE = 2**31
Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "relu2"]
ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
}


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
    "use_bidirectional_attention": (False, "vision"),
    "attention_k_eq_v": (False,),
    "enable_moe_block": (False,),
    "clip_qkv": (),
    "qk_layernorm": (False,),
    "use_qk_norm": (False,),
    "use_parallel_residual": (False,),
    "alibi": (False,),
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

    data: Mapping[str, object]
    model_type: str
    family: Family

    def with_value(self, name: str, value: object) -> Config:
        """Return a configuration with one other value."""
        return replace(self, data={**self.data, name: value})

    def size(self, name: str, default: int | None = None) -> int:
        """Return a positive integer; `default` if the field is missing or null.

        Raises:
            EngineError: `broken-config`: missing without a default, or another value.
        """
        value = self.data.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST_SIZE:
            raise broken(f"{name} should be a positive whole number and is {shown(value)}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a positive finite number; default and errors as in `size`."""
        value = self.data.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise broken(f"{name} should be a positive number and is {shown(value)}")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean; default and errors as in `size`."""
        value = self.data.get(name)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise broken(f"{name} should be true or false and is {shown(value)}")
        return value

    def decide(self, flag: Flag | bool) -> bool:
        """Return a boolean of the family, or of the field that it names."""
        return flag if isinstance(flag, bool) else self.flag(flag.name, flag.default)

    def scale(self, number: Number | float | None) -> float | None:
        """Return the value of a field that the family names; None without one, or where it is 0 or null."""
        if number is None or isinstance(number, float):
            return number
        value = self.data.get(number.name, number.default)
        return self.number(number.name, number.default) if value else None


def read_config(folder: Path) -> Config:
    """Return `config.json` of `folder`, or of its text part; only its model_type is checked here.

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
    return parse_config(data)


def parse_config(data: object) -> Config:
    """Return the configuration of a decoder from the content of a `config.json`; see `read_config`."""
    if not isinstance(data, dict):
        raise broken("its config.json is not an object")
    model_type = data.get("model_type")
    if not isinstance(model_type, str):
        raise broken("its config.json has no model_type")
    if is_wrapper(data):
        # Whether the head is tied, the whole decides, most often by a default of its class, which is true:
        # without a head in the checkpoint it must be.
        data = {**text_config(data), "tie_word_embeddings": data.get("tie_word_embeddings", True)}
        inner = data.get("model_type") or WRAPPERS.get(model_type)
        model_type = inner if isinstance(inner, str) else model_type
    if model_type not in FAMILIES:
        raise unsupported(
            f"the architecture {model_type[:40]!r}",
            "Use the PyTorch backend, which runs every model of transformers.",
        )
    return Config(data, model_type, FAMILIES[model_type])


def refuse_unsupported_fields(config: Config) -> None:
    """Check that no field is set that changes the logits and is not supported.

    Raises:
        EngineError: `unsupported-architecture`, with the name of the field.
    """
    read = _fields_that_are_read(config.family)
    for name, neutral in _NEUTRAL.items():
        value = config.data.get(name)
        if name not in read and value is not None and value not in neutral:
            raise unsupported(f"{name} = {shown(value)}")
    quantisation = config.data.get("quantization_config")
    if quantisation is not None:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        raise unsupported(
            f"a checkpoint that is already quantised ({shown(method)})", "Pick the unquantised checkpoint."
        )


def _fields_that_are_read(family: Family) -> set[str]:
    values = (getattr(family, one.name) for one in fields(family))
    return {value.name for value in values if isinstance(value, Number | Flag)}


def activation_of(config: Config) -> Activation:
    """Return the activation of the MLP.

    Raises:
        EngineError: `unsupported-architecture`: the activation is not supported.
    """
    name, default = config.family.activation
    value = config.data.get(name)
    value = default if value is None else value
    if config.model_type == "gemma" and value == "gelu":
        value = default  # transformers: the first files named the exact form and meant the approximation
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise unsupported(f"the activation {shown(value)}")
    return ACTIVATIONS[value]


def shown(value: object) -> str:
    """Return `value` for a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"

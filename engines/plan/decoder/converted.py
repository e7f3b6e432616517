"""The architectures that OpenVINO takes from transformers' own model, where no graph is described for them.

The model is traced and converted, which takes the memory of all weights in 32 bits and more time than a graph
that is written from the file. Each was compared with transformers on a tiny checkpoint, and each engine
is, when it is built.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.plan.checkpoint.layer_kinds import layer_kinds
from engines.plan.checkpoint.text_part import text_config
from engines.plan.decoder.config_check import layer_count
from engines.plan.decoder.decoder_config import Config, unsupported
from engines.plan.decoder.families import Family

CONVERTED = frozenset(
    {
        "apertus",
        "deepseek_v2",
        "deepseek_v3",
        "gpt_neox",
        "granitemoe",
        "lfm2",
        "lfm2_moe",
        "mixtral",
        "olmoe",
        "qwen2_moe",
        "qwen3_5_text",
        "qwen3_moe",
    }
)
"""Names of `model_type`."""
_FIXED_ROPE = ("default", "linear", "llama3", "yarn", "proportional")
"""Scalings whose frequencies are the same at each length: a traced model has those of a short text."""


@dataclass(frozen=True)
class ConvertedDecoder:
    """What a backend must know of a model that it does not describe."""

    model_type: str
    vocabulary: int
    max_positions: int
    keeps_state: bool
    """Whether layers keep a state beside keys and values: no prefix can be reused then."""


def converted_decoder(data: Mapping[str, object]) -> ConvertedDecoder | None:
    """Return the decoder of a config.json that is converted from transformers; None for others.

    Raises:
        EngineError: `unsupported-architecture` or `broken-config`: its architecture is converted, but not
            this checkpoint.
    """
    text = text_config(data)
    model_type = str(text.get("model_type"))
    if model_type not in CONVERTED:
        return None
    config = Config(text, model_type, Family())
    for name in ("rope_scaling", "rope_parameters"):
        rope = text.get(name)
        if isinstance(rope, Mapping):
            kind = rope.get("rope_type", rope.get("type", "default"))
            if kind not in _FIXED_ROPE:
                raise unsupported(f"RoPE scaling of type {str(kind)[:40]!r}")
    if "quantization_config" in data:
        raise unsupported("a checkpoint that is already quantised", "Pick the unquantised checkpoint.")
    return ConvertedDecoder(
        model_type=model_type,
        vocabulary=config.size("vocab_size"),
        max_positions=config.size("max_position_embeddings", 2048),
        keeps_state="none" in layer_kinds(text, layer_count(config)),
    )

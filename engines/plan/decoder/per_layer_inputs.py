"""Gemma 4's layers: inputs of their own, and keys that several layers share.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from engines.plan.decoder.decoder_config import Config, broken
from engines.plan.decoder.decoder_parts import Decoder, Layer, LayerInput, Linear, Norm, PerLayerInputs

_KEYS = ("k_proj.weight", "v_proj.weight", "k_norm.weight", "v_norm.weight")


def read_per_layer_inputs(config: Config, root: str) -> PerLayerInputs | None:
    """Return the second embedding; None if the layers have no inputs of their own.

    Raises:
        EngineError: `broken-config`.
    """
    width = _width(config)
    if not width:
        return None
    hidden, count = config.size("hidden_size"), config.size("num_hidden_layers")
    return PerLayerInputs(
        table=f"{root}embed_tokens_per_layer.weight",
        width=width,
        projection=Linear(f"{root}per_layer_model_projection.weight", hidden, count * width),
        norm=Norm(f"{root}per_layer_projection_norm.weight"),
    )


def with_layer_inputs(
    config: Config, root: str, types: Sequence[str], layers: Sequence[Layer]
) -> tuple[Layer, ...]:
    """Return the layers with their inputs, and with the keys that they share.

    Raises:
        EngineError: `broken-config`: no layer has the keys that the last ones should share.
    """
    first = len(layers) - _shared_layers(config, len(layers))
    last_of = {kind: index for index, kind in enumerate(types[:first])}
    wide = config.flag("use_double_wide_mlp")
    found = []
    for index, (kind, layer) in enumerate(zip(types, layers, strict=True)):
        own = _layer_input(config, f"{root}layers.{index}.")
        if index >= first:
            if kind not in last_of:
                raise broken(
                    f"layer {index} should share the keys of a layer of type {kind}, and there is none"
                )
            layer = replace(_wider(layer) if wide else layer, shares_keys_of=last_of[kind])
            layer = replace(layer, attention_in=layer.attention_in[:1], key_norm=None, value_norm=None)
        found.append(replace(layer, own_input=own))
    return tuple(found)


def unread_keys(decoder: Decoder) -> Iterator[str]:
    """Yield the names of tensors that layers with shared keys ignore, from the number of the layer on."""
    for index, layer in enumerate(decoder.layers):
        if layer.shares_keys_of is not None:
            yield from (f"{index}.self_attn.{key}" for key in _KEYS)


def _layer_input(config: Config, name: str) -> LayerInput | None:
    width, hidden = _width(config), config.size("hidden_size")
    if not width:
        return None
    return LayerInput(
        gate=Linear(f"{name}per_layer_input_gate.weight", hidden, width),
        out=Linear(f"{name}per_layer_projection.weight", width, hidden),
        norm=Norm(f"{name}post_per_layer_input_norm.weight"),
        scale=f"{name}layer_scalar",
    )


def _wider(layer: Layer) -> Layer:
    """Return the layer with an MLP of twice the size."""
    inner = tuple(replace(linear, outputs=2 * linear.outputs) for linear in layer.mlp_in)
    return replace(layer, mlp_in=inner, mlp_out=replace(layer.mlp_out, inputs=2 * layer.mlp_out.inputs))


def _width(config: Config) -> int:
    return (
        0
        if config.data.get("hidden_size_per_layer_input") == 0
        else config.size("hidden_size_per_layer_input", 256)
    )


def _shared_layers(config: Config, count: int) -> int:
    shared = config.data.get("num_kv_shared_layers") or 0
    if not isinstance(shared, int) or not 0 <= shared < count:
        raise broken(f"num_kv_shared_layers should be from 0 to {count - 1}")
    return shared

"""Check by config.json alone whether a graph can be built, so before the tensors are there.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.plan.decoder.decoder import head_dim_of
from engines.plan.decoder.decoder_config import (
    Config,
    activation_of,
    broken,
    parse_config,
    refuse_unsupported_fields,
    unsupported,
)
from engines.plan.decoder.rope import longest_context, position_scale, read_rope
from engines.plan.decoder.windows import layer_types, read_windows, rotating_layers

MOST_LAYERS = 10_000


def check_config(data: Mapping[str, object]) -> Config:
    """Check that the graph builder takes a config.json, and return the configuration of its decoder.

    Raises:
        EngineError: `unsupported-architecture` or `broken-config`, as when the graph is built.
    """
    config = parse_config(data)
    refuse_unsupported_fields(config)
    activation_of(config)
    if config.model_type == "gpt2":
        return config
    longest_context(config)
    position_scale(config)
    types = layer_types(config, layer_count(config))
    for kind in set(types):
        read_rope(config, head_dim_of(config, kind), kind)
    read_windows(config, types)
    rotating_layers(config, len(types))
    return config


def layer_count(config: Config) -> int:
    """Return the number of layers; a file without tensors may claim any."""
    count = config.size("num_hidden_layers")
    if count > MOST_LAYERS:
        raise broken(f"num_hidden_layers is {count}")
    return count


def refuse_soft_cap(softcap: float | None) -> None:
    """Refuse a soft cap of the attention scores, as in Gemma 2.

    Raises:
        EngineError: `unsupported-architecture`.
    """
    if softcap is not None:
        raise unsupported(
            "a soft cap of the attention scores, which this engine's attention does not have",
            "Choose PyTorch, PyTorch compiled or ONNX Runtime for this checkpoint.",
        )


def refuse_layer_inputs(has_inputs: bool) -> None:
    """Refuse inputs of each layer and heads of two widths, as in Gemma 4.

    Raises:
        EngineError: `unsupported-architecture`.
    """
    if has_inputs:
        raise unsupported(
            "inputs for each layer and heads of two widths, which only the graph for OpenVINO has",
            "Choose OpenVINO or PyTorch for this checkpoint.",
        )


def check_openvino_config(data: Mapping[str, object]) -> None:
    """Check a config.json for a graph with OpenVINO's paged attention; see `check_config`."""
    config = check_config(data)
    refuse_soft_cap(config.scale(config.family.softcap))


def check_onnx_config(data: Mapping[str, object]) -> None:
    """Check a config.json for an ONNX graph; see `check_config`."""
    refuse_layer_inputs(check_config(data).family.per_layer_inputs)


def check_tensorrt_config(data: Mapping[str, object]) -> None:
    """Check a config.json for an ONNX graph that TensorRT builds, which is not known to cap scores."""
    config = check_config(data)
    refuse_layer_inputs(config.family.per_layer_inputs)
    refuse_soft_cap(config.scale(config.family.softcap))

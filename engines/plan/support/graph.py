"""Support of the backends whose graph this project builds: openvino, onnxruntime and tensorrt."""

from __future__ import annotations

from collections.abc import Mapping

from engines.errors import EngineError
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.decoder.decoder import _rope
from engines.plan.decoder.decoder_config import (
    MODEL_TYPES,
    Config,
    activation_of,
    refuse_unsupported_fields,
    unsupported,
)
from engines.plan.hardware.hardware import Device
from engines.plan.support.row import Support


def checkpoint_support(
    architecture: str,
    config: Mapping[str, object],
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why no graph can be built for the checkpoint; see `row.CheckpointSupport`."""
    del architecture, precision, device, context
    try:
        refuse_unbuildable(config)
    except EngineError as error:
        return Support("unavailable", error.message, error.hint)
    if quantisation is not None:
        return Support("unavailable", quantisation.description, "Choose the unquantised checkpoint.")
    return None


def refuse_unbuildable(config: Mapping[str, object]) -> None:
    """Check that the graph builder takes a config; the tensors are checked when they are there.

    Raises:
        EngineError: `unsupported-architecture` or `broken-config`, as when the graph is built.
    """
    model_type = str(config.get("model_type"))
    if model_type not in MODEL_TYPES:
        hint = "The PyTorch backend runs every model of transformers."
        raise unsupported(f"the architecture {model_type[:40]!r}", hint)
    checked = Config(dict(config), model_type)
    refuse_unsupported_fields(checked)
    if model_type == "gpt2":
        activation_of(checked, "activation_function", "gelu_new")
    else:
        activation_of(checked, "hidden_act", "silu")
        _rope(checked)

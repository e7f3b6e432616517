"""Support of the backends whose graph this project builds: openvino, onnxruntime and tensorrt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engines.errors import EngineError
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.hardware.hardware import Device
from engines.plan.support.row import CheckpointSupport, Support

Config = Mapping[str, object]


def graph_support(check: Callable[[Config], None]) -> CheckpointSupport:
    """Return the hook `checkpoint_support` of a backend whose graph a check of config.json allows."""

    def checkpoint_support(
        architecture: str,
        config: Config,
        quantisation: Quantisation | None,
        precision: str | None,
        device: Device | None = None,
        context: int | None = None,
    ) -> Support | None:
        del architecture, precision, device, context
        try:
            check(config)
        except EngineError as error:
            return Support("unavailable", error.message, error.hint)
        if quantisation is not None:
            return Support("unavailable", quantisation.description, "Choose the unquantised checkpoint.")
        return None

    return checkpoint_support

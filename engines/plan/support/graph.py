"""Support of the backends whose graph this project builds: openvino, onnxruntime and tensorrt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engines.errors import EngineError
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.decoder.config_check import check_config, check_uncapped_config
from engines.plan.hardware.hardware import Device
from engines.plan.support.row import Support

Config = Mapping[str, object]


def checkpoint_support(
    architecture: str,
    config: Config,
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why no graph can be built for the checkpoint; see `row.CheckpointSupport`."""
    del architecture, precision, device, context
    return _support(check_config, config, quantisation)


def uncapped_checkpoint_support(
    architecture: str,
    config: Config,
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why no graph without soft caps of scores can be built; see `row.CheckpointSupport`."""
    del architecture, precision, device, context
    return _support(check_uncapped_config, config, quantisation)


def _support(
    check: Callable[[Config], None], config: Config, quantisation: Quantisation | None
) -> Support | None:
    try:
        check(config)
    except EngineError as error:
        return Support("unavailable", error.message, error.hint)
    if quantisation is not None:
        return Support("unavailable", quantisation.description, "Choose the unquantised checkpoint.")
    return None

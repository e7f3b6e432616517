"""Place the layers of a transformers model on several GPUs, which compute one after another.

The placement is that of transformers' `device_map="balanced"`, and like that it is accelerate's: hooks move
what a layer returns to the GPU of the next one. A prompt or a token is computed by one GPU at a time, so this
runs larger models and does not make them faster.
"""

from __future__ import annotations

from typing import Any

from engines.errors import EngineError


def on_several_gpus(model: Any, count: int) -> Any:
    """Return the model with its layers on the first `count` GPUs, about as many bytes on each.

    Raises:
        EngineError: `no-accelerate`: the package is not installed; `too-large`: the GPUs cannot hold it.
    """
    try:
        from accelerate import dispatch_model, infer_auto_device_map
        from accelerate.utils import get_balanced_memory
    except ImportError as error:
        raise EngineError(
            "no-accelerate",
            "accelerate, which places a model on several GPUs, is not installed.",
            "pip install 'trt-playground[device-map]', or choose one GPU.",
        ) from error
    import torch

    whole = getattr(model, "_no_split_modules", None)
    free = {index: torch.cuda.mem_get_info(index)[0] for index in range(count)}
    limits = get_balanced_memory(model, max_memory=free, no_split_module_classes=whole)
    places = infer_auto_device_map(model, max_memory=limits, no_split_module_classes=whole)
    if not {*places.values()} <= {*range(count)}:
        raise EngineError(
            "too-large",
            f"{count} GPUs cannot hold this model: a part of it would stay in the machine's memory.",
            "Choose more GPUs, or a smaller precision.",
        )
    return dispatch_model(model, device_map=places)

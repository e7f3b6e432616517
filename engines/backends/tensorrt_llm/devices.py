"""Select the GPUs that the library sees, and the device on which models are quantised."""

from __future__ import annotations

import gc
import os
from functools import cache

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.hardware.hardware import gpus


def pin_gpus(spec: EngineSpec) -> None:
    """Make only the GPUs of the spec visible to the library.

    Raises:
        EngineError: `unsupported-device`: the device of the spec is not a GPU.
    """
    if not spec.device.startswith("cuda"):
        raise EngineError(
            "unsupported-device",
            "TensorRT-LLM runs on NVIDIA GPUs only.",
            "Choose a GPU, or a backend that runs on the CPU.",
        )
    _show_gpus(int(spec.device.partition(":")[2] or 0), spec.gpus)


@cache
def _show_gpus(first: int, count: int) -> None:
    # Cached, because it may run only once, before the first import of torch.
    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = variable.split(",") if variable else [str(index) for index in range(first + count)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible[first : first + count])


def available_memory(spec: EngineSpec) -> int | None:
    """Return the bytes free on the GPU of the spec, on the fullest where there are several; None if unknown.

    To be called before `pin_gpus`.
    """
    first = int(spec.device.partition(":")[2] or 0)
    free = [gpu.memory_available for gpu in gpus()[first : first + spec.gpus]]
    known = [one for one in free if one is not None]
    return min(known, default=None)


def torch_device() -> str:
    """Return the device for running and quantising the unquantised model."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def free_memory() -> None:
    """Release this process's cached GPU memory: the library loads the engine in another process."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()

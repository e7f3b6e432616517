"""The GPUs that the library is to see, and where the plain model is run and quantised."""

from __future__ import annotations

import gc
import os
from functools import cache

from engines.build.spec import EngineSpec
from engines.errors import EngineError


def pin_gpus(spec: EngineSpec) -> None:
    """Show the library the GPUs of the spec only.

    Raises:
        EngineError: the spec is for no GPU.
    """
    if not spec.device.startswith("cuda"):
        raise EngineError(
            "unsupported-device",
            "TensorRT-LLM runs on NVIDIA GPUs only.",
            "Choose OpenVINO on this machine.",
        )
    _show_gpus(int(spec.device.partition(":")[2] or 0), spec.gpus)


@cache
def _show_gpus(first: int, count: int) -> None:
    # Once, before the first import of torch.
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = setting.split(",") if setting else [str(index) for index in range(first + count)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible[first : first + count])


def torch_device() -> str:
    """Where the plain model is run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def free_memory() -> None:
    """Give the GPU back what models of this process have held: the engine's is another process."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()

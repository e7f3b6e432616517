"""Checks and model loading shared by the backends that run transformers models in this process."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engines.backends.base import Availability
from engines.build.spec import EngineSpec
from engines.errors import EngineError


def probe_transformers() -> Availability:
    """Return whether torch and transformers are installed, from their metadata; neither is imported."""
    try:
        versions = {name: version(name) for name in ("torch", "transformers")}
    except PackageNotFoundError as error:
        return Availability(
            available=False,
            reason=f"{error.name} is not installed.",
            hint="pip install torch transformers",
        )
    return Availability(available=True, versions=versions, devices=("cpu", "cuda"))


def check_device(device: str) -> None:
    """Check that PyTorch can use the device.

    Raises:
        EngineError: `no-device`: a GPU was requested and PyTorch finds none.
    """
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(
            "no-device",
            f"This PyTorch ({torch.__version__}) finds no NVIDIA GPU.",
            "Choose the CPU, or install a build of PyTorch for CUDA.",
        )


def read_model(spec: EngineSpec, checkpoint: Path, dtype: Any, **options: Any) -> Any:
    """Return the model of a checkpoint on the CPU, with all of its weights.

    Args:
        options: For `from_pretrained`, such as `attn_implementation`.

    Raises:
        EngineError: `load-failed`: transformers cannot load the checkpoint; `broken-weights`: tensors are
            missing.
    """
    from transformers import AutoModelForCausalLM

    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            checkpoint,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # OSError, ValueError, KeyError, SafetensorError, RuntimeError, …
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineError(
            "load-failed",
            f"transformers cannot load this checkpoint: {lines[0][:300]}",
            "See the log; the checkpoint may need another version of transformers.",
        ) from error
    if missing := sorted(info["missing_keys"]):
        # transformers only warns, and initialises the missing tensors with random numbers.
        raise EngineError(
            "broken-weights",
            f"The checkpoint lacks {len(missing)} of the model's tensors, such as {missing[0]}.",
            "Download it again; it may be incomplete.",
        )
    return model

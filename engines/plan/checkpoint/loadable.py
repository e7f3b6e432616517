"""Whether a backend can load a checkpoint, from its configuration alone: before any weight is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.quantisation import Quantisation, find_quantisation, modelopt_precision
from engines.plan.checkpoint.shape import causal_architecture
from engines.plan.hardware.hardware import Device
from engines.plan.precision import PRECISIONS, support
from engines.plan.support import Support
from engines.plan.tensorrt_llm_models import LACKING, LISTED

CONFIGURATIONS = ["config.json", "hf_quant_config.json"]
"""The files that tell."""
OTHER_CHECKPOINT = "Take the plain checkpoint and choose a precision here, or an export of NVIDIA ModelOpt."
OTHER_MODEL = "Choose another backend for this checkpoint."
LOADED_ONLY = {"mxfp4": "It loads MXFP4, but this playground has no such precision."}
"""Forms that TensorRT-LLM reads and that cannot be chosen here."""
ENGINES_ONLY = ("int8-sq",)
"""Precisions that it calibrates itself while it builds an engine: it reads no checkpoint of them."""


def support_of(backend: str, precision: str, device: Device, checkpoint: Checkpoint | None) -> Support:
    """What the table says of backend and precision, and whether they go with this checkpoint."""
    found = support(backend, precision, device)
    if found.state == "unavailable" or checkpoint is None or backend != "tensorrt-llm":
        return found
    quantisation = checkpoint.quantisation
    return (
        _unreadable(quantisation)
        or _quantised_otherwise(quantisation, precision)
        or _of_architecture(checkpoint.architecture)
        or found
    )


def refuse_unloadable(backend: str, folder: Path) -> None:
    """Raise for what `backend` is known not to load; only TensorRT-LLM is choosy in a way known here.

    Raises:
        EngineError: it was quantised in a form that TensorRT-LLM does not read, is a model that it lacks, or
            is no text decoder at all.
    """
    if backend != "tensorrt-llm" or not (folder / "config.json").is_file():
        return
    config = read_json_object(folder / "config.json")
    architecture = causal_architecture(config, folder / "config.json")
    found = _unreadable(find_quantisation(folder, config)) or _of_architecture(architecture)
    if found is not None and found.state == "unavailable":
        raise EngineError("unsupported-checkpoint", found.reason, found.remedy)


def refuse_without_weights(checkpoint: str, files: Iterable[str]) -> None:
    """Raise for a list of files that has GGUF and nothing that a backend here loads.

    Raises:
        EngineError: there are GGUF files, and no safetensors.
    """
    endings = {name.rpartition(".")[2].lower() for name in files}
    if "gguf" in endings and "safetensors" not in endings:
        raise EngineError(
            "unsupported-checkpoint",
            f"{checkpoint} holds GGUF files, which are llama.cpp's: no backend here loads them.",
            "Take the original checkpoint with safetensors: its card usually names it.",
        )


def _unreadable(found: Quantisation | None) -> Support | None:
    precision = modelopt_precision(found) if found else ""
    if found is None or (precision and precision not in ENGINES_ONLY):
        return None
    if precision:
        title = PRECISIONS[precision].title
        reason = f"TensorRT-LLM quantises to {title} itself, and reads no such checkpoint."
        return Support("unavailable", reason, OTHER_CHECKPOINT)
    why = LOADED_ONLY.get(found.name.lower())
    reason = f"TensorRT-LLM does not load checkpoints quantised by {found.name}. {found.words}"
    return Support("unavailable", why or reason, OTHER_CHECKPOINT)


def _quantised_otherwise(found: Quantisation | None, precision: str) -> Support | None:
    own = modelopt_precision(found) if found else ""
    if not own or own == precision:
        return None
    reason = f"This checkpoint is already quantised to {PRECISIONS[own].title}."
    return Support("unavailable", reason, f"Choose {PRECISIONS[own].title}, or take the plain checkpoint.")


def _of_architecture(architecture: str) -> Support | None:
    """A model that neither list names is tried: releases learn new ones."""
    if architecture in LACKING:
        reason = f"TensorRT-LLM's LLM API has no model for {architecture}."
        return Support("unavailable", reason, OTHER_MODEL)
    if architecture in LISTED:
        return None
    reason = f"NVIDIA's list of models does not name {architecture}: it is tried all the same."
    return Support("fallback", reason, "Choose another backend if it does not load.")

"""Whether a backend can load a checkpoint, from its configuration alone: before any weight is fetched."""

from __future__ import annotations

from pathlib import Path

from engines.errors import EngineError
from engines.plan.json_file import read_json_object
from engines.plan.quantisation import find_quantisation, modelopt_precision

CONFIGURATIONS = ["config.json", "hf_quant_config.json"]
"""The files that tell."""


def refuse_unloadable(backend: str, folder: Path) -> None:
    """Raise for what `backend` is known not to load; only TensorRT-LLM is choosy in a way known here.

    Raises:
        EngineError: the checkpoint was quantised by a library whose form TensorRT-LLM does not read.
    """
    if backend != "tensorrt-llm" or not (folder / "config.json").is_file():
        return
    found = find_quantisation(folder, read_json_object(folder / "config.json"))
    if found is not None and not modelopt_precision(found):
        raise EngineError(
            "unsupported-checkpoint",
            f"TensorRT-LLM does not load checkpoints quantised by {found.name}. {found.words}",
            "Take the plain checkpoint and choose a precision here, or one exported by NVIDIA ModelOpt.",
        )

"""Choose the folder that TensorRT-LLM loads: an engine, a quantised or the original checkpoint."""

from __future__ import annotations

from pathlib import Path

from engines.backends.tensorrt_llm.arguments import wants_engine
from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.loadable import refuse_unloadable
from engines.plan.checkpoint.quantisation import modelopt_precision

CHECKPOINT, ENGINE = "checkpoint", "engine"
"""Subfolders of an engine in the store."""


def model_folder(spec: EngineSpec, checkpoint: Path, directory: Path | None) -> Path:
    """Return the folder to load.

    Raises:
        EngineError: `not-built`, or `already-quantised`: the checkpoint has another quantisation.
    """
    for name in (ENGINE, CHECKPOINT):
        if directory is not None and (directory / name).is_dir():
            return directory / name
    if spec.precision in CONFIGURATIONS and not already_quantised(spec, checkpoint):
        raise EngineError("not-built", f"The {spec.precision} engine has not been prepared.", "Prepare it.")
    return checkpoint


def already_quantised(spec: EngineSpec, checkpoint: Path) -> str:
    """Return the name of the checkpoint's quantisation if it matches the spec; empty if it is unquantised.

    Raises:
        EngineError: `already-quantised`: the checkpoint has another quantisation.
    """
    refuse_unloadable("tensorrt-llm", checkpoint)
    found = read_checkpoint(checkpoint).quantisation
    if found is None:
        return ""
    precision = modelopt_precision(found)
    if precision == spec.precision and not wants_engine(spec):
        return found.name
    raise EngineError(
        "already-quantised",
        f"This checkpoint is quantised to {found.name} already.",
        f"Choose {precision}, or the unquantised checkpoint.",
    )


def weight_bytes(folder: Path) -> int:
    """Return the bytes of the weight files in a folder."""
    files = [*folder.glob("*.safetensors"), *folder.glob("*.engine")]
    return sum(file.stat().st_size for file in files)

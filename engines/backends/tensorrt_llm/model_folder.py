"""The folder that TensorRT-LLM is given: an engine, a quantised checkpoint, or the plain one."""

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
"""Folders within an engine of the store."""


def model_folder(spec: EngineSpec, checkpoint: Path, directory: Path | None) -> Path:
    """What is loaded.

    Raises:
        EngineError: it has not been prepared, or the checkpoint is quantised otherwise.
    """
    for name in (ENGINE, CHECKPOINT):
        if directory is not None and (directory / name).is_dir():
            return directory / name
    if spec.precision in CONFIGURATIONS and not already_quantised(spec, checkpoint):
        raise EngineError("not-built", f"{spec.precision} has not been prepared.", "Prepare it.")
    return checkpoint


def already_quantised(spec: EngineSpec, checkpoint: Path) -> str:
    """The checkpoint's own quantisation, where it is the precision that is wanted; empty for plain weights.

    Raises:
        EngineError: it is quantised otherwise.
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
        f"Choose {precision}, or the plain checkpoint.",
    )


def weight_bytes(folder: Path) -> int:
    """Bytes of the weights in it."""
    files = [*folder.glob("*.safetensors"), *folder.glob("*.engine")]
    return sum(file.stat().st_size for file in files)

"""The engines of a GGUF file where the user has chosen none: llama.cpp left, and PyTorch right."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from app.state.settings.settings import EngineChoice, Settings
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.gguf_checkpoint import gguf_path, is_gguf_file
from engines.plan.checkpoint.loadable import support_of
from engines.plan.estimate.estimate import estimate
from engines.plan.estimate.memory_fit import memory_fit
from engines.plan.gguf_formats import GGUF_BACKEND, is_dequantised
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import AUTO

SIDES = ("left", "right")


def gguf_choice(checkpoint: str) -> EngineChoice | None:
    """Return the engine for a GGUF file; None for another checkpoint, and for a file that cannot be read.

    Blocking.
    """
    found = gguf_checkpoint(checkpoint)
    return EngineChoice(GGUF_BACKEND, found.gguf_precision) if found else None


def gguf_checkpoint(checkpoint: str) -> Checkpoint | None:
    """Return the facts of a GGUF file; None for another checkpoint, and for a file that cannot be read.

    Blocking.
    """
    file = gguf_file(checkpoint)
    with suppress(EngineError):  # said again when it is opened
        return read_checkpoint(file) if file else None
    return None


def sides_to_open(settings: Settings, device: Device) -> tuple[str, ...]:
    """Return the sides whose engines can run the checkpoint.

    Of a GGUF file those of llama.cpp, and of PyTorch if its dequantised weights fit: they take several times
    the memory of the file. The settings have one checkpoint for both sides; where no side reads it, both are
    named, and say why. Blocking.

    Args:
        device: that PyTorch runs on.
    """
    if gguf_file(settings.checkpoint) is None:
        return SIDES
    checkpoint = gguf_checkpoint(settings.checkpoint)

    def runs(choice: EngineChoice) -> bool:
        if choice.checkpoint or checkpoint is None or choice.backend == GGUF_BACKEND:
            return choice.backend == GGUF_BACKEND
        return dequantised_fits(checkpoint, choice, settings.context, device)

    choices = zip(SIDES, (settings.left, settings.right), strict=True)
    return tuple(side for side, choice in choices if runs(choice)) or SIDES


def dequantised_fits(checkpoint: Checkpoint, choice: EngineChoice, context: int, device: Device) -> bool:
    """Return whether an engine runs the dequantised form of a GGUF file, and fits into the free memory."""
    if not is_dequantised(choice.backend, checkpoint):
        return False
    if support_of(choice.backend, choice.precision, device, checkpoint, context).state == "unavailable":
        return False
    found = estimate(checkpoint, choice.backend, choice.precision, AUTO, context, device)
    return memory_fit(found).state != "does not fit"


def gguf_file(checkpoint: str) -> Path | None:
    """Return the GGUF file that a checkpoint is, or the only model of its folder; None for any other."""
    with suppress(OSError, RuntimeError, ValueError):  # too long, unknown home folder, a null byte
        path = gguf_path(Path(checkpoint).expanduser())
        return path if is_gguf_file(path) else None
    return None

"""The engine of a GGUF file where the user has chosen none: llama.cpp, in the precision of the file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from app.state.settings.settings import EngineChoice, Settings
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.gguf_checkpoint import gguf_path, is_gguf_file
from engines.plan.gguf_formats import GGUF_BACKEND

SIDES = ("left", "right")


def gguf_choice(checkpoint: str) -> EngineChoice | None:
    """Return the engine for a GGUF file; None for another checkpoint, and for a file that cannot be read.

    Blocking.
    """
    file = _file(checkpoint)
    if file is None:
        return None
    with suppress(EngineError):  # said again when it is opened
        return EngineChoice(GGUF_BACKEND, read_checkpoint(file).gguf_precision)
    return None


def sides_to_open(settings: Settings) -> tuple[str, ...]:
    """Return the sides whose engines can read the checkpoint: of a GGUF file those of llama.cpp.

    The settings have one checkpoint for both sides. Where no side reads it, both are named, and say why.
    """
    if _file(settings.checkpoint) is None:
        return SIDES
    choices = zip(SIDES, (settings.left, settings.right), strict=True)
    return tuple(side for side, choice in choices if choice.backend == GGUF_BACKEND) or SIDES


def _file(checkpoint: str) -> Path | None:
    with suppress(OSError, RuntimeError, ValueError):  # too long, unknown home folder, a null byte
        path = gguf_path(Path(checkpoint).expanduser())
        return path if is_gguf_file(path) else None
    return None

"""Which backend runs a GGUF file: llama.cpp, in the precision of the file."""

from __future__ import annotations

from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.gguf_formats import GGUF_BACKEND, precision_of
from engines.plan.support import NEEDS
from engines.plan.support.row import Support


def gguf_support(backend: str, precision: str, checkpoint: Checkpoint) -> Support:
    """Return whether a backend runs a GGUF file in a precision, and what to do otherwise."""
    if backend != GGUF_BACKEND:
        return Support(
            "unavailable",
            "It is a GGUF file, which of all backends only llama.cpp reads.",
            "Choose llama.cpp, or the model's checkpoint with safetensors.",
        )
    own = precision_of(checkpoint.gguf_precision)
    if precision != own.name:
        return Support(
            "unavailable",
            f"The weights in this GGUF file are {own.title}, and are not converted.",
            f"Choose {own.title}, or the model's checkpoint with safetensors.",
        )
    need = NEEDS.get((GGUF_BACKEND, "*"))
    if need is not None and need.missing:
        return Support("unavailable", need.missing, need.remedy)
    return Support("native", "As it is in the file, with llama.cpp's own kernels; nothing is built.")

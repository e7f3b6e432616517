"""Which backends run a GGUF file: llama.cpp in the precision of the file, PyTorch its dequantised form."""

from __future__ import annotations

from dataclasses import replace

from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.gguf_formats import GGUF_BACKEND, is_dequantised, precision_of
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support
from engines.plan.support import NEEDS
from engines.plan.support.need import Need
from engines.plan.support.row import Support

DEQUANTISE = Need(("gguf",), "pip install gguf.")
"""For the values of quantised tensors."""


def gguf_support(backend: str, precision: str, checkpoint: Checkpoint, device: Device) -> Support:
    """Return whether a backend runs a GGUF file in a precision, and what to do otherwise."""
    if is_dequantised(backend, checkpoint):
        return _dequantised(backend, precision, checkpoint, device)
    if backend != GGUF_BACKEND:
        return Support(
            "unavailable",
            "It is a GGUF file: llama.cpp runs it as it is, PyTorch with dequantised weights.",
            "Choose one of these, or the model's checkpoint with safetensors.",
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


def _dequantised(backend: str, precision: str, checkpoint: Checkpoint, device: Device) -> Support:
    found = support(backend, precision, device)
    if found.state == "unavailable":
        return found
    if checkpoint.not_dequantised:
        return Support("unavailable", checkpoint.not_dequantised, "Choose llama.cpp.")
    if DEQUANTISE.missing:
        return Support("unavailable", DEQUANTISE.missing, DEQUANTISE.remedy)
    own = precision_of(checkpoint.gguf_precision).title
    return replace(found, reason=f"The weights of the file, dequantised from {own}. {found.reason}")

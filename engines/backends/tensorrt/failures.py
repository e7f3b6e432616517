"""Explain what TensorRT reports: its calls return nothing, and the reason is in its messages only."""

from __future__ import annotations

from collections.abc import Sequence

from engines.errors import EngineError

REBUILD = "Build the engine again (F8 removes the old one)."
LOADING = (
    (
        ("magictag", "header.size", "corrupt", "deserialization failed"),
        "load-failed",
        "The engine's plan is damaged.",
        REBUILD,
    ),
    (
        ("cudaerror 35", "cudaerror 100", "driver version is insufficient", "no cuda-capable"),
        "no-gpu",
        "TensorRT finds no usable NVIDIA driver on this machine.",
        "Check nvidia-smi: the driver is missing, or older than this release of TensorRT needs.",
    ),
    (
        (
            "compute capability",
            "different device",
            "built for a different",
            "not compatible with the current gpu",
        ),
        "other-gpu",
        "The engine's plan was built for another GPU.",
        "Build it for this one.",
    ),
    (
        ("version", "serialization"),
        "other-release",
        "The engine's plan was built by another release of TensorRT.",
        REBUILD,
    ),
    (
        ("out of memory", "cudaerror 2:", "outofmemory"),
        "out-of-memory",
        "The GPU has not enough free memory for this engine.",
        "Close the other side's engine, or choose a smaller precision or context.",
    ),
)
"""Signs in the messages, code, message and hint; the first one that is found. A damaged plan is reported
besides the missing driver."""


def load_failure(messages: Sequence[str]) -> EngineError:
    """Return why a plan could not be loaded."""
    text = " ".join(messages).lower()
    for signs, code, message, hint in LOADING:
        if any(sign in text for sign in signs):
            return EngineError(code, message, hint, detail="\n".join(messages))
    reason = messages[0][:300] if messages else "the library gave no reason"
    return EngineError("load-failed", f"TensorRT cannot load the engine: {reason}.", REBUILD)


def build_failure(what: str, messages: Sequence[str]) -> EngineError:
    """Return why a graph could not be parsed or built.

    Args:
        what: what failed, as the start of a sentence.
    """
    text = " ".join(messages).lower()
    if "outofmemory" in text or "out of memory" in text:
        return EngineError(
            "out-of-memory",
            f"{what}: there is not enough memory.",
            "Close other programs.",
            "\n".join(messages),
        )
    reason = messages[0][:300].rstrip(".") if messages else "the library gave no reason"
    return EngineError(
        "build-failed", f"{what}: {reason}.", "Try another precision.", detail="\n".join(messages)
    )

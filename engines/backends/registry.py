"""The backends by name. A new backend is one file and one line here.

Importing this module imports no backend: that happens in `backend_class`, inside a worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from engines.backends.base import Backend
from engines.errors import EngineError


@dataclass(frozen=True)
class BackendEntry:
    """What can be said of a backend without importing it."""

    title: str
    target: str
    """`module:class`."""
    builds: bool
    """Whether prepare writes an engine to the store."""
    runs_shapes: bool = False
    """Whether it makes the random weights of a shape that has none."""
    own_environment: bool = False
    """Whether its libraries collide with ours, so that its workers run with an interpreter of their own."""
    calibrates: frozenset[str] = frozenset()
    """Precisions that it calibrates with texts, which may be the user's own."""
    splits: bool = False
    """Whether the weights of one engine can be split over several GPUs."""


BACKENDS: dict[str, BackendEntry] = {
    "pytorch": BackendEntry(
        "PyTorch", "engines.backends.pytorch:PyTorchBackend", builds=False, runs_shapes=True
    ),
    "compiled": BackendEntry(
        "PyTorch compiled",
        "engines.backends.compiled.backend:CompiledBackend",
        builds=True,
        runs_shapes=True,
    ),
    "openvino": BackendEntry("OpenVINO", "engines.backends.openvino.backend:OpenVINOBackend", builds=True),
    "tensorrt-llm": BackendEntry(
        "TensorRT-LLM",
        "engines.backends.tensorrt_llm.backend:TensorRTLLMBackend",
        builds=True,
        own_environment=True,
        calibrates=frozenset({"fp8", "int4-awq", "int8-sq", "w4a8-awq", "nvfp4"}),
        splits=True,
    ),
}


def backend_class(name: str) -> type[Backend]:
    """Import a backend.

    Raises:
        EngineError: no backend has this name, or its module cannot be imported.
    """
    if name not in BACKENDS:
        raise EngineError(
            "unknown-backend", f"There is no backend named {name!r}.", f"Known: {', '.join(BACKENDS)}."
        )
    module, _, attribute = BACKENDS[name].target.partition(":")
    try:
        return cast("type[Backend]", getattr(import_module(module), attribute))
    except Exception as error:  # also OSError or RuntimeError, of a native library that does not fit
        raise EngineError(
            "backend-not-installed",
            f"{BACKENDS[name].title} cannot be imported: {error}.",
            "Install it into this environment, then try again.",
        ) from error

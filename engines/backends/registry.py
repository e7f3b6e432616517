"""All backends by name. A new backend is one module and one entry here.

Importing this module imports no backend; `backend_class` does that, inside a worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from engines.backends.base import Backend
from engines.errors import EngineError


@dataclass(frozen=True)
class BackendEntry:
    """Properties of a backend that are known without importing it."""

    title: str
    target: str
    """`module:class`."""
    builds: bool
    """Whether `prepare` writes an engine to the store."""
    runs_shapes: bool = False
    """Whether it can run a model shape with random weights."""
    own_environment: bool = False
    """Whether its dependencies conflict with the app's, so that its workers need a separate interpreter."""
    calibrates: frozenset[str] = frozenset()
    """Precisions that need calibration texts, which the user may provide."""
    splits: bool = False
    """Whether the weights of one engine can be split over several GPUs (tensor parallelism)."""


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
    """Import a backend and return its class.

    Raises:
        EngineError: `unknown-backend`, or `backend-not-installed`: its module cannot be imported.
    """
    if name not in BACKENDS:
        raise EngineError(
            "unknown-backend",
            f"There is no backend named {name!r}.",
            f"Choose one of {', '.join(BACKENDS)}.",
        )
    module, _, attribute = BACKENDS[name].target.partition(":")
    try:
        return cast("type[Backend]", getattr(import_module(module), attribute))
    except Exception as error:  # also OSError or RuntimeError, from an incompatible native library
        raise EngineError(
            "backend-not-installed",
            f"{BACKENDS[name].title} cannot be imported: {error}.",
            "Install it into this environment, then try again.",
        ) from error

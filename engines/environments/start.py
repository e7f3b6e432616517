"""Start the worker of any backend with the interpreter it needs."""

from __future__ import annotations

from pathlib import Path

from engines.backends.registry import BACKENDS
from engines.environments.interpreters import interpreter
from engines.errors import EngineError
from engines.worker.process import EngineProcess


async def start_worker(backend: str, log_path: Path) -> EngineProcess:
    """Start a worker, with the app's interpreter or with that of the backend's environment.

    Raises:
        EngineError: the backend needs an environment and has none, or its interpreter does not start.
    """
    entry = BACKENDS.get(backend)
    if entry is None:
        raise EngineError(
            "unknown-backend", f"This release has no backend {backend!r}.", "Choose another one with F2."
        )
    if not entry.own_environment:
        return await EngineProcess.start(backend, log_path)
    found = interpreter(backend)
    if found is None:
        raise EngineError(
            "no-environment",
            f"{entry.title} needs its own environment, and there is none.",
            f"trt-playground env create {backend}",
        )
    return await EngineProcess.start(backend, log_path, python=found.python)

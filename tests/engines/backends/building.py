"""Build and load engines of tiny checkpoints in this process, for the fixtures of each backend's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from engines.backends.base import Backend
from engines.build.spec import EngineSpec
from tests.doubles.recording_report import RecordingReport

AnyBackend = TypeVar("AnyBackend", bound=Backend)


class Builder:
    """Builds engines of one backend, once for the same checkpoint, precision and options."""

    def __init__(self, backend: type[Backend], new_folder: Callable[[], Path]) -> None:
        self._backend, self._new_folder = backend, new_folder
        self._built: dict[tuple[Path, str, tuple[tuple[str, str], ...]], Path] = {}

    def __call__(self, folder: Path, precision: str = "fp32", **options: str) -> Path:
        """Return the folder of the engine."""
        key = (folder, precision, tuple(options.items()))
        if key not in self._built:
            directory = self._new_folder()
            spec = EngineSpec(str(folder), self._backend.name, precision, options=options)
            self._backend().prepare(spec, folder, directory, RecordingReport())
            self._built[key] = directory
        return self._built[key]


class Loader(Generic[AnyBackend]):
    """Loads engines of one backend."""

    def __init__(self, backend: type[AnyBackend], build: Callable[..., Path], **defaults: Any) -> None:
        self._backend, self._build, self._defaults = backend, build, defaults
        self._loaded: list[AnyBackend] = []

    def __call__(self, folder: Path, precision: str = "fp32", **fields: Any) -> AnyBackend:
        """Return the backend; `report` and the fields of its spec may be given."""
        report = fields.pop("report", RecordingReport())
        spec = EngineSpec(str(folder), self._backend.name, precision, **(self._defaults | fields))
        backend = self._backend()
        backend.load(spec, folder, self._build(folder, precision, **spec.options), report)
        self._loaded.append(backend)
        return backend

    def close(self) -> None:
        """Close all of them."""
        for backend in self._loaded:
            backend.close()

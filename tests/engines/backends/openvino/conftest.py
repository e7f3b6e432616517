"""Engines built from tiny checkpoints, once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.backends.openvino.backend import OpenVINOBackend
from engines.build.spec import EngineSpec
from tests.engines.tiny import make_checkpoint


class RecordingReport:
    """A report that records everything."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []
        self.progresses: list[tuple[float, float, str]] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: float, total: float, unit: str = "") -> None:
        self.progresses.append((done, total, unit))

    def log(self, line: str) -> None:
        self.lines.append(line)


Checkpoint = Callable[..., Path]
Build = Callable[..., Path]
Load = Callable[..., OpenVINOBackend]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Creates a tiny checkpoint of a family, once for the same arguments."""
    made: dict[str, Path] = {}

    def make(family: str = "llama", **overrides: Any) -> Path:
        key = f"{family} {sorted(overrides.items())}"
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp(family) / family, family, **overrides)
        return made[key]

    return make


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds an engine, once for the same checkpoint and precision, and returns its folder."""
    built: dict[tuple[Path, str], Path] = {}

    def make(folder: Path, precision: str = "fp32") -> Path:
        key = (folder, precision)
        if key not in built:
            directory = tmp_path_factory.mktemp("engine")
            spec = EngineSpec(str(folder), "openvino", precision)
            OpenVINOBackend().prepare(spec, folder, directory, RecordingReport())
            built[key] = directory
        return built[key]

    return make


@pytest.fixture
def load(build: Build) -> Iterator[Load]:
    """Loads engines, and closes them after the test."""
    loaded: list[OpenVINOBackend] = []

    def make(folder: Path, precision: str = "fp32", **fields: Any) -> OpenVINOBackend:
        spec = EngineSpec(str(folder), "openvino", precision, **fields)
        backend = OpenVINOBackend()
        backend.load(spec, folder, build(folder, precision), fields.pop("report", RecordingReport()))
        loaded.append(backend)
        return backend

    yield make
    for backend in loaded:
        backend.close()


@pytest.fixture(scope="session")
def reference() -> Callable[..., Any]:
    """Loads a checkpoint in transformers, in fp32 by default."""
    models: dict[tuple[Path, torch.dtype], Any] = {}

    def make(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
        if (folder, dtype) not in models:
            models[folder, dtype] = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        return models[folder, dtype]

    return make

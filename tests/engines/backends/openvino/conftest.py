"""Engines built from tiny checkpoints, once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.backends.openvino.backend import OpenVINOBackend
from tests.engines.backends.building import Builder, Loader

Build = Callable[..., Path]
Load = Callable[..., OpenVINOBackend]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds an engine, once for the same checkpoint and precision, and returns its folder."""
    return Builder(OpenVINOBackend, lambda: tmp_path_factory.mktemp("engine"))


@pytest.fixture
def load(build: Build) -> Iterator[Load]:
    """Loads engines, and closes them after the test."""
    loader = Loader(OpenVINOBackend, build)
    yield loader
    loader.close()

"""GGUF engines built from checkpoints, once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engines.backends.llama_cpp.backend import LlamaCppBackend
from tests.engines.backends.building import Builder, Loader

Load = Callable[..., LlamaCppBackend]


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """Builds and loads engines, and closes them at the end."""
    build = Builder(LlamaCppBackend, lambda: tmp_path_factory.mktemp("engine"))
    loader = Loader(LlamaCppBackend, build, context=1024)
    yield loader
    loader.close()

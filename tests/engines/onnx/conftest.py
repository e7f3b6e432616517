"""Graphs of tiny checkpoints, once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.onnx.decoder_graph import GraphFormat
from tests.engines.onnx.graphs import WriteOnce, write


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WriteOnce:
    """Writes a graph, once for the same checkpoint and format, and returns its folder."""
    found: dict[tuple[Path, GraphFormat], Path] = {}

    def make(checkpoint: Path, form: GraphFormat) -> Path:
        if (checkpoint, form) not in found:
            found[checkpoint, form] = write(checkpoint, tmp_path_factory.mktemp("graph"), form)
        return found[checkpoint, form]

    return make

"""Print what is in the folder of an engine, as JSON."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from engines.backends.tensorrt.plan_file import ENGINE_LAYERS, LAYERS
from engines.inspect.graph import read_graph
from engines.inspect.inspection import ENGINE, NETWORK, ONNX, Inspection, Listing
from engines.inspect.layer_files import read_engine, read_network
from engines.onnx.folder import GRAPH

MEMORY_BYTES = 3 << 30
"""Address space: a graph of 64 MB takes up to 1 GB once it is parsed."""


def main() -> None:
    """Read the folder that is named in the arguments. Libraries may print: only the JSON goes to stdout."""
    output = os.dup(1)
    os.dup2(2, 1)
    _limit()
    folder = Path(sys.argv[1])
    found = Inspection(
        _read(read_graph, folder, Listing(ONNX, GRAPH, problem=_too_large(GRAPH))),
        _read(read_network, folder, Listing(NETWORK, LAYERS, problem=_too_large(LAYERS))),
        _read(read_engine, folder, Listing(ENGINE, ENGINE_LAYERS, problem=_too_large(ENGINE_LAYERS))),
    )
    with os.fdopen(output, "wb") as stream:
        stream.write(msgspec.json.encode(found))


def _read(read: Callable[[Path], Listing], folder: Path, otherwise: Listing) -> Listing:
    try:
        return read(folder)
    except MemoryError:
        return otherwise


def _too_large(file: str) -> str:
    return f"{file} is too large: reading it needs too much memory."


def _limit() -> None:
    """Limit the memory of this process, where the system can."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()

"""Write a model to disk and verify that it is complete."""

from __future__ import annotations

import errno
import os
import re
import shutil
from math import prod
from pathlib import Path

import openvino as ov

from engines.backends.openvino.weight_nodes import WIDENED
from engines.errors import EngineError
from engines.regular_file import read_regular

MODEL = "openvino_model.xml"
"""The file name that OpenVINO GenAI expects; the weights are in the .bin file of the same name."""
GRAPH_BYTES = 2_000_000
"""Space for the graph: the file, and its second copy while it is rewritten."""
MAX_GRAPH_BYTES = 200_000_000
"""The graph of a model with 100 layers has 5 MB."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(model: ov.Model, directory: Path) -> int:
    """Write `model` to `directory` and return the size of its weights in bytes.

    Raises:
        EngineError: `disk-full`, or `write-failed` with the system's reason.
    """
    graph, weights = directory / MODEL, (directory / MODEL).with_suffix(".bin")
    needed = _constant_bytes(model)
    try:
        ov.save_model(model, graph, compress_to_fp16=False)
        mark_widened(graph)
    except (OSError, RuntimeError) as error:
        raise _not_written(weights, needed, error) from error
    # save_model does not check its writes: on a full disk it leaves a truncated file without an error.
    size = complete_bytes(directory)
    if size is None:
        raise _not_written(weights, needed, None)
    return size


def complete_bytes(directory: Path) -> int | None:
    """Return the size of an engine's weights in bytes; None if a file is missing or truncated.

    OpenVINO memory-maps the weights without a check, and reading past their end kills the process.
    """
    graph, weights = directory / MODEL, (directory / MODEL).with_suffix(".bin")
    if not (graph.is_file() and weights.is_file()):
        return None
    size = weights.stat().st_size
    text = read_regular(graph, MAX_GRAPH_BYTES).decode("utf-8", "replace")
    return size if _expected_bytes(text) <= size else None


def state_bytes(directory: Path) -> int:
    """Return the size of one copy of the states that layers keep beside keys and values."""
    text = read_regular(directory / MODEL, MAX_GRAPH_BYTES).decode("utf-8", "replace")
    shapes = re.findall(r'<data variable_id="cache_params[^"]*"[^>]* variable_shape="\?,([\d,]+)"', text)
    return sum(4 * prod(map(int, shape.split(","))) for shape in shapes)


def mark_widened(graph: Path) -> None:
    """Mark all nodes that convert 16-bit weights to fp32 as decompression nodes, in the XML file.

    OpenVINO converts the weights of unmarked nodes at load, which took 1.8 s instead of 0.4 s and 930 MB
    instead of 675 MB at 153M parameters. The attribute cannot be set from Python.
    """
    mark = '<rt_info><attribute name="decompression" version="0" /></rt_info>'
    layer = re.compile(rf'(<layer [^>]*name="[^"]*{WIDENED}" type="Convert"[^>]*>\s*<data [^>]*/>)')
    graph.write_text(layer.sub(rf"\1{mark}", graph.read_text("utf-8")), "utf-8")


def _expected_bytes(graph: str) -> int:
    if not graph.rstrip().endswith("</net>"):
        return 1 << 63
    ends = (int(offset) + int(size) for offset, size in re.findall(r' offset="(\d+)" size="(\d+)"', graph))
    return max(ends, default=0)


def _constant_bytes(model: ov.Model) -> int:
    return sum(node.get_byte_size() for node in model.get_ops() if node.get_type_name() == "Constant")


def _lacks_space(file: Path, needed: int) -> bool:
    """Return whether `needed` bytes do not fit on the disk, counting what is written already."""
    try:
        written = sum(part.stat().st_size for part in file.parent.iterdir())
        return shutil.disk_usage(file.parent).free + written < needed + GRAPH_BYTES
    except OSError:
        return False


def _not_written(file: Path, needed: int, error: Exception | None) -> EngineError:
    """Return the error for a failed write.

    A test write finds the cause, which OpenVINO does not report. It may succeed on a full disk: OpenVINO
    removes what it wrote.

    Args:
        needed: bytes of the weights.
    """
    reason: OSError | None = error if isinstance(error, OSError) else None
    try:
        with file.open("ab") as stream:
            stream.write(bytes(1 << 20))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as found:
        reason = reason or found
    full = reason.errno in _DISK_FULL if reason is not None else _lacks_space(file, needed)
    if full:
        words = reason.strerror if reason is not None else f"the engine takes {needed / 1e6:,.1f} MB"
        return EngineError(
            "disk-full",
            f"The disk filled up while the engine was written ({words}).",
            "Free some space, or remove engines that you no longer need, then try again.",
        )
    why = (reason.strerror if reason is not None else str(error)) or "the file is incomplete"
    return EngineError(
        "write-failed",
        f"The engine could not be written: {why}.",
        "Check the permissions of the engine store's folder.",
    )

"""Writing a model to disk, and making sure that it arrived there whole."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import openvino as ov

from engines.backends.openvino.graph import WIDENED
from engines.errors import EngineError

MODEL = "openvino_model.xml"
"""The name that OpenVINO GenAI looks for; its weights lie beside it as .bin."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(model: ov.Model, directory: Path) -> int:
    """Write `model` into `directory`; returns the bytes of its weights.

    Raises:
        EngineError: `disk-full`, or `write-failed` with the system's reason.
    """
    graph, weights = directory / MODEL, (directory / MODEL).with_suffix(".bin")
    try:
        ov.save_model(model, graph, compress_to_fp16=False)
        mark_widened(graph)
    except (OSError, RuntimeError) as error:
        raise _not_written(weights, error) from error
    # save_model looks at no write: on a full disk it leaves a shorter file and says nothing.
    size = whole_bytes(directory)
    if size is None:
        raise _not_written(weights, None)
    return size


def whole_bytes(directory: Path) -> int | None:
    """Bytes of a saved engine's weights; None where a file is missing, or shorter than the graph says.

    OpenVINO maps the weights unseen, and reading past their end kills the process.
    """
    graph, weights = directory / MODEL, (directory / MODEL).with_suffix(".bin")
    if not (graph.is_file() and weights.is_file()):
        return None
    size = weights.stat().st_size
    return size if _expected_bytes(graph.read_text("utf-8", "replace")) <= size else None


def mark_widened(graph: Path) -> None:
    """Mark every node that widens 16-bit weights as decompression.

    Only a marked one is left in place at load; unmarked, the weights are widened then and there, which took
    1.8 s in place of 0.4 and 930 MB in place of 675 at 153 M parameters. The mark cannot be set from Python.
    """
    mark = '<rt_info><attribute name="decompression" version="0" /></rt_info>'
    layer = re.compile(rf'(<layer [^>]*name="[^"]*{WIDENED}" type="Convert"[^>]*>\s*<data [^>]*/>)')
    graph.write_text(layer.sub(rf"\1{mark}", graph.read_text("utf-8")), "utf-8")


def _expected_bytes(graph: str) -> int:
    if not graph.rstrip().endswith("</net>"):
        return 1 << 63
    ends = (int(offset) + int(size) for offset, size in re.findall(r' offset="(\d+)" size="(\d+)"', graph))
    return max(ends, default=0)


def _not_written(file: Path, error: Exception | None) -> EngineError:
    """Ask the system why, by writing a little more: OpenVINO does not say."""
    reason: OSError | None = error if isinstance(error, OSError) else None
    try:
        with file.open("ab") as stream:
            stream.write(bytes(1 << 20))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as found:
        reason = reason or found
    if reason is not None and reason.errno in _FULL:
        return EngineError(
            "disk-full",
            f"The disk filled up while the engine was written ({reason.strerror}).",
            "Free some space, or remove engines that are no longer needed, then try again.",
        )
    why = (reason.strerror if reason is not None else str(error)) or "the file is incomplete"
    return EngineError(
        "write-failed",
        f"The engine could not be written: {why}.",
        "Look at the store's folder and its rights.",
    )

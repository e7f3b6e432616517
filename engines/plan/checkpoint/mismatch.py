"""Compare the sizes in config.json with the tensors in the files.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.shape import read_shape
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.checkpoint.weights import TOKEN_TABLES

FLOATS = ("F64", "F32", "BF16", "F16")


def refuse_mismatch(folder: Path) -> None:
    """Refuse a config that is another model's: libraries allocate what it says before they compare.

    A worker calls it before it loads or builds.

    Raises:
        EngineError: there are fewer tensors than layers, or the embedding has other sizes (`broken-weights`).
    """
    file = folder / "config.json"
    shape, entries = read_shape(read_json_object(file), file), tensor_entries(folder)
    hint = "The config.json may belong to another model: download the checkpoint again."
    if shape.layers > len(entries):
        message = f"config.json has {shape.layers:,} layers, and the files hold {len(entries):,} tensors."
        raise EngineError("broken-weights", message, hint)
    for name, entry in entries.items():
        if not name.endswith(TOKEN_TABLES) or entry.dtype not in FLOATS or len(entry.shape) != 2:
            continue
        # Some models have an embedding that is narrower than their layers.
        if entry.shape[0] != shape.vocabulary or entry.shape[1] > shape.hidden:
            expected = [shape.vocabulary, shape.hidden]
            message = f"{name[:80]} has the shape {list(entry.shape)}, and config.json says {expected}."
            raise EngineError("broken-weights", message, hint)

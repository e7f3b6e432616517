"""The files of a TensorRT engine in its folder. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.regular_file import read_regular

PLAN = "model.plan"
"""What `build_serialized_network` returned."""
DETAILS = "plan.json"
LAYERS = "layers.json"
"""The layers of the network, before TensorRT optimised them."""
ENGINE_LAYERS = "engine_layers.json"
"""The layers after it, as the library describes them; written where a GPU has run the engine."""
LAYER_TIMES = "layer_times.json"
"""Microseconds of each layer in one decode step; written where a GPU has run the engine."""
RUNTIME_CACHE = "runtime.cache"
"""Kernels that TensorRT for RTX has compiled for the GPU of this machine."""
LARGEST_PLAN = 1 << 38


@dataclass(frozen=True)
class PlanDetails:
    """What has to be known before a plan is loaded."""

    module: str
    """The library: `tensorrt_rtx` or `tensorrt`."""
    version: str
    target: str
    """The architecture that it was built for, such as `sm89`."""
    context: int
    """Tokens of the KV cache."""
    chunk_tokens: int
    """The most new tokens in one step."""

    def write(self, folder: Path) -> None:
        """Write them to an engine's folder."""
        (folder / DETAILS).write_text(json.dumps(asdict(self)))


def read_details(folder: Path) -> PlanDetails:
    """Read what `PlanDetails.write` wrote.

    Raises:
        EngineError: `load-failed`: the file is missing or damaged.
    """
    try:
        data = read_json_object(folder / DETAILS)
        module, version, target = (str(data[name]) for name in ("module", "version", "target"))
        context, chunk_tokens = (data[name] for name in ("context", "chunk_tokens"))
    except (EngineError, OSError, KeyError) as error:
        raise damaged() from error
    if not (isinstance(context, int) and isinstance(chunk_tokens, int) and min(context, chunk_tokens) > 0):
        raise damaged()
    return PlanDetails(module, version, target, context, chunk_tokens)


def read_plan(folder: Path) -> bytes:
    """Return the plan.

    Raises:
        EngineError: `load-failed`: the file is missing.
    """
    try:
        return read_regular(folder / PLAN, LARGEST_PLAN)
    except OSError as error:
        raise damaged() from error


def damaged() -> EngineError:
    """Return the error for files that cannot be what was built."""
    return EngineError("load-failed", "The engine's files are damaged.", "Build the engine again.")

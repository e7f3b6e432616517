"""The support table: which precision a backend runs on which device. One file per backend.

A new backend adds a file and a line in _BACKENDS. The file defines RULES, NEEDS and DEFAULTS and, where they
apply, KV_CHOICES, RUNTIMES and `checkpoint_support` (see `row.CheckpointSupport`).
"""

from __future__ import annotations

from engines.plan.support import compiled, llama_cpp, onnxruntime, openvino, pytorch, tensorrt, tensorrt_llm
from engines.plan.support.need import Need
from engines.plan.support.row import CheckpointSupport, Rule, State, Support
from engines.plan.support.runtime import Runtime

__all__ = [
    "CHECKPOINT_SUPPORT",
    "DEFAULTS",
    "KV_CHOICES",
    "NEEDS",
    "RULES",
    "RUNTIMES",
    "Need",
    "Rule",
    "State",
    "Support",
]

_BACKENDS = {
    "pytorch": pytorch,
    "compiled": compiled,
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "llama-cpp": llama_cpp,
    "tensorrt": tensorrt,
    "tensorrt-llm": tensorrt_llm,
}
RULES: tuple[Rule, ...] = (
    *llama_cpp.other_backends(_BACKENDS),
    *(row for table in _BACKENDS.values() for row in table.RULES),
)
NEEDS: dict[tuple[str, str], Need] = {
    (backend, precision): need
    for backend, table in _BACKENDS.items()
    for precision, need in table.NEEDS.items()
}
"""What must be installed, by backend and precision; `*` for every precision."""
DEFAULTS: tuple[tuple[str, str, str], ...] = tuple(
    (backend, kind, precision) for backend, table in _BACKENDS.items() for kind, precision in table.DEFAULTS
)
"""(backend, kind of device, precision), best first: the first native one is the default."""
KV_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    (backend, precision): names
    for backend, table in _BACKENDS.items()
    for precision, names in getattr(table, "KV_CHOICES", {}).items()
}
"""Names of KV_PRECISIONS by backend and precision of the weights, the default first."""
RUNTIMES: dict[tuple[str, str], Runtime] = {
    (backend, kind): runtime
    for backend, table in _BACKENDS.items()
    for kind, runtime in getattr(table, "RUNTIMES", {}).items()
}
"""Memory constants by backend and kind of device, each with where it was measured."""
CHECKPOINT_SUPPORT: dict[str, CheckpointSupport] = {
    backend: table.checkpoint_support
    for backend, table in _BACKENDS.items()
    if hasattr(table, "checkpoint_support")
}
"""Why a backend does not run a checkpoint, by backend."""

"""What runs where, and why not: a table, one file a backend.

A backend that is added brings a file with its RULES, NEEDS and DEFAULTS, and a line of _BACKENDS.
"""

from __future__ import annotations

from engines.plan.support import compiled, openvino, pytorch, tensorrt_llm
from engines.plan.support.need import Need
from engines.plan.support.row import Rule, State, Support

__all__ = ["DEFAULTS", "NEEDS", "RULES", "Need", "Rule", "State", "Support"]

_BACKENDS = {
    "pytorch": pytorch,
    "compiled": compiled,
    "openvino": openvino,
    "tensorrt-llm": tensorrt_llm,
}
RULES: tuple[Rule, ...] = tuple(row for table in _BACKENDS.values() for row in table.RULES)
NEEDS: dict[tuple[str, str], Need] = {
    (backend, precision): need
    for backend, table in _BACKENDS.items()
    for precision, need in table.NEEDS.items()
}
"""By backend and precision, `*` for all of them."""
DEFAULTS: tuple[tuple[str, str, str], ...] = tuple(
    (backend, kind, precision) for backend, table in _BACKENDS.items() for kind, precision in table.DEFAULTS
)
"""(backend, kind of device, precision), best first: the first native one is chosen until the user chooses."""

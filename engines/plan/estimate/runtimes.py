"""Memory constants of a backend on a kind of device."""

from __future__ import annotations

from engines.plan.support import RUNTIMES
from engines.plan.support.runtime import MB, Runtime

UNMEASURED = Runtime(
    base=500 * MB, weight_copies=1.0, prefill_tokens=None, build_base=500 * MB, block_tokens=64
)
"""For a backend without measurements: chosen to overestimate."""


def runtime_of(backend: str, kind: str) -> Runtime:
    """Return the constants of `backend` on `kind` (`cpu` or `cuda`); UNMEASURED for an unknown pair."""
    return RUNTIMES.get((backend, kind), UNMEASURED)

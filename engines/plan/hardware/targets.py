"""Names of GPU architectures that engines are built for: `sm89` is compute capability 8.9."""

from __future__ import annotations

import re

from engines.errors import EngineError
from engines.plan.hardware.hardware import gpus

_NAME = re.compile(r"sm_?(\d{1,2})(\d)")


def target_name(compute_capability: tuple[int, int]) -> str:
    """Return `sm89` for (8, 9)."""
    return "sm{}{}".format(*compute_capability)


def target_of(device: str) -> str:
    """Return the architecture of a GPU of this machine, such as `cuda:0`; empty if there is none.

    Blocking: it asks the driver.
    """
    found = next((gpu for gpu in gpus() if gpu.name == device), None)
    return target_name(found.compute_capability) if found and found.compute_capability else ""


def capability_of(target: str) -> tuple[int, int]:
    """Return (8, 9) for `sm89` or `sm_89`.

    Raises:
        EngineError: `unknown-target`: it is no such name.
    """
    found = _NAME.fullmatch(target.lower())
    if found is None:
        raise EngineError(
            "unknown-target",
            f"{target[:40]!r} is not the name of a GPU architecture.",
            "Write it like sm86 (RTX 30), sm89 (RTX 40) or sm120 (RTX 50).",
        )
    return int(found[1]), int(found[2])

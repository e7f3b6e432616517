"""A row of the table: whether a backend runs a precision on a kind of device, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.plan.hardware.hardware import Device

State = Literal["native", "fallback", "unavailable"]


@dataclass(frozen=True)
class Support:
    """Whether a backend runs a precision on a device."""

    state: State
    """`native`; `fallback`: weight-only or emulated: stored so, computed otherwise; `unavailable`."""
    reason: str
    """One sentence for the user."""
    remedy: str = ""
    """What would change it; empty where nothing does."""


@dataclass(frozen=True)
class Rule:
    """A row of the table. Of the rows that fit, the first one decides."""

    backend: str
    precision: str
    """A name of PRECISIONS, or `*` for all of them."""
    kind: str
    """`cpu`, `cuda`, or `*`."""
    support: Support
    source: str
    """Where it was measured or written."""
    any_feature: frozenset[str] = frozenset()
    """CPU features of which the device must have one; empty asks for none."""
    compute_capability: tuple[int, int] | None = None
    """The least that the GPU must have."""

    def fits(self, backend: str, precision: str, device: Device) -> bool:
        """Whether this row speaks of `precision` with `backend` on `device`."""
        named = self.backend == backend and self.precision in (precision, "*")
        able = not self.any_feature or bool(self.any_feature & device.features)
        least, has = self.compute_capability, device.compute_capability
        new_enough = least is None or (has is not None and has >= least)
        return named and able and new_enough and self.kind in (device.kind, "*")

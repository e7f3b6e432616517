"""Which precisions a backend supports on a device."""

from __future__ import annotations

from engines.plan.hardware.hardware import Device
from engines.plan.support import DEFAULTS, NEEDS, RULES, Rule, State, Support
from engines.plan.weight_formats import PRECISIONS, Precision

__all__ = [
    "PRECISIONS",
    "Precision",
    "State",
    "Support",
    "default_precision",
    "rule",
    "support",
    "support_table",
]


def rule(backend: str, precision: str, device: Device) -> Rule | None:
    """Return the first row of the support table that applies; None for a combination without a row."""
    return next((row for row in RULES if row.applies(backend, precision, device)), None)


def support(backend: str, precision: str, device: Device) -> Support:
    """Return the support of a precision: its row, or unavailable if a requirement is not installed.

    A combination without a row is unavailable, not an error.
    """
    row = rule(backend, precision, device)
    if row is None:
        return Support("unavailable", f"{precision} with {backend} on {device.name} is not supported.")
    if row.support.state != "unavailable":
        for need in filter(None, (NEEDS.get((backend, "*")), NEEDS.get((backend, precision)))):
            if need.missing:
                return Support("unavailable", need.missing, need.remedy)
    return row.support


def support_table(backend: str, device: Device) -> dict[str, Support]:
    """Return `support` for every precision, in the order of PRECISIONS."""
    return {precision: support(backend, precision, device) for precision in PRECISIONS}


def default_precision(backend: str, device: Device) -> str:
    """Return the first native precision of DEFAULTS, else the first that runs, else `fp32`."""
    table = support_table(backend, device)
    chosen = [name for one, kind, name in DEFAULTS if (one, kind) == (backend, device.kind)]
    native = [name for name in chosen if table[name].state == "native"]
    running = [name for name, found in table.items() if found.state != "unavailable"]
    return (native + running + ["fp32"])[0]

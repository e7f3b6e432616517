"""The name of the machine that answered: saved with each turn, and shown in a replay."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engines.build.server import host_of, is_remote
from engines.build.spec import EngineSpec
from engines.plan.hardware.hardware import Device

_CLUTTER = re.compile(r"\((R|TM|C)\)|\b(CPU|Processor|\d+-Core)\b|@.*", re.IGNORECASE)
"""What vendors add to the name of a model."""


def machine_of(spec: EngineSpec | None, devices: Iterable[Device]) -> str:
    """Return the name of the device that an engine runs on; of an engine on a server its host and port."""
    if spec is not None and is_remote(spec):
        return host_of(spec)
    return machine_name(spec.device if spec else "cpu", devices)


def machine_name(device: str, devices: Iterable[Device]) -> str:
    """Return the vendor's name of a device, of a CPU with its cores; empty if it is not one of `devices`.

    Args:
        device: as in `EngineSpec.device`.
    """
    found = next((one for one in devices if one.name == device), None)
    if found is None:
        return ""
    title = " ".join(_CLUTTER.sub(" ", found.title).split()) or found.title
    cores = (
        f", {found.cores} core{'' if found.cores == 1 else 's'}"
        if found.kind == "cpu" and found.cores
        else ""
    )
    return f"{title}{cores}"

"""How fast the CPU engines of this machine decode the demo: measured on request, kept with the engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from app.state.prepare.bandwidth_cache import key
from app.state.settings import paths
from app.state.settings.number_file import read_numbers
from app.state.settings.settings import EngineChoice
from app.units import rate_text
from engines.backends.registry import BACKENDS, LOCAL
from engines.plan.gguf_formats import PLAIN
from engines.plan.hardware.hardware import Device
from engines.plan.precision import default_precision, support
from engines.plan.support import NEEDS


@dataclass(frozen=True)
class EngineSpeed:
    """The decode speed of one backend in its default precision."""

    backend: str
    precision: str
    rate: float | None
    """Tokens per second on the demo; None if it was not measured with the installed libraries."""

    @property
    def title(self) -> str:
        """Return `OpenVINO int8`."""
        return f"{BACKENDS[self.backend].title} {self.precision}"


def speeds_file() -> Path:
    """Return the path of the file."""
    return paths.engine_store() / "decode.json"


def read_speeds(cpu: Device) -> tuple[EngineSpeed, ...]:
    """Return the backends whose default on this CPU is quantised, the fastest first. Blocking: reads a file.

    Their defaults have 8 bits each. Fewer would be faster and give other answers, so they are not compared.
    """
    known = read_numbers(speeds_file())
    found = [(backend, default_precision(backend, cpu)) for backend in LOCAL]
    speeds = [
        EngineSpeed(backend, precision, known.get(speed_name(cpu, backend, precision)))
        for backend, precision in found
        if precision not in PLAIN and support(backend, precision, cpu).state == "native"
    ]
    return tuple(sorted(speeds, key=lambda one: -(one.rate or 0.0)))


def fastest(speeds: Sequence[EngineSpeed]) -> EngineSpeed | None:
    """Return the fastest engine; None unless all were measured."""
    return speeds[0] if speeds and all(one.rate for one in speeds) else None


def fastest_text(choice: EngineChoice, speeds: Sequence[EngineSpeed]) -> str:
    """Return which engine is the fastest, and its speed; empty where that was not measured.

    Args:
        choice: the engine that the text is shown with.
        speeds: of `read_speeds`.
    """
    best = fastest(speeds)
    if best is None:
        return ""
    is_chosen = (choice.backend, choice.precision) == (best.backend, best.precision)
    return f"{'this one' if is_chosen else best.title}, {rate_text(best.rate)} on the demo"


def speed_name(cpu: Device, backend: str, precision: str) -> str:
    """Return the name that a speed is saved under: another one for other cores and other libraries."""
    need = NEEDS.get((backend, "*"))
    versions = [f"{module} {_version(module)}" for module in need.modules] if need else []
    return ", ".join([key(cpu), backend, precision, *versions])


def _version(module: str) -> str:
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return "unknown"

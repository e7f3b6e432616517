"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("torch", "transformers", "openvino", "openvino-genai", "textual")
FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""What decides how fast a CPU multiplies matrices."""


@dataclass(frozen=True)
class Machine:
    """The machine and the versions on it."""

    cpu: str
    features: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    versions: dict[str, str]

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"machine   {self.cpu}, {self.cores} cores ({' '.join(self.features) or 'features not told'})",
            f"memory    {self.memory_bytes / 2**30:.1f} GiB",
            f"system    {self.system}",
            "versions  " + ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        ]


def machine() -> Machine:
    """Look at this machine."""
    information = _cpu_information()
    flags = set(information.get("flags", "").split())
    return Machine(
        information.get("model name") or platform.processor() or platform.machine(),
        tuple(name for name in FEATURES if name in flags),
        os.cpu_count() or 1,
        psutil.virtual_memory().total,
        platform.platform(),
        {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    )


def load_average() -> str:
    """Processes that wanted to run, over 1, 5 and 15 minutes: the benchmark's own are among them."""
    return " ".join(f"{value:.2f}" for value in psutil.getloadavg())


def _cpu_information() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"

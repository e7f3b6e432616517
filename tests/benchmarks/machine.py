"""Describe the machine that figures are measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("torch", "transformers", "openvino", "openvino-genai", "onnxruntime", "xllamacpp", "textual")
FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instruction sets that determine the speed of matrix multiplication."""


@dataclass(frozen=True)
class Machine:
    """The machine and the installed versions."""

    cpu: str
    features: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    versions: dict[str, str]

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        return [
            f"machine   {self.cpu}, {self.cores} cores ({' '.join(self.features) or 'features unknown'})",
            f"memory    {self.memory_bytes / 2**30:.1f} GiB",
            f"system    {self.system}",
            "versions  " + ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        ]


def machine() -> Machine:
    """Return the description of this machine."""
    information = _cpu_information()
    flags = set(information.get("flags", "").split())
    return Machine(
        cpu=information.get("model name") or platform.processor() or platform.machine(),
        features=tuple(name for name in FEATURES if name in flags),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        versions={"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    )


def load_average() -> str:
    """Return the load average over 1, 5 and 15 minutes, including the benchmark's own processes."""
    return " ".join(f"{value:.2f}" for value in psutil.getloadavg())


def _cpu_information() -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo; empty without that file."""
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

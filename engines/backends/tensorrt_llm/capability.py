"""What the installed TensorRT-LLM can do, found in its folder without importing it.

An import initialises MPI, prints, and may hang. Releases up to 1.2 have a class that builds TensorRT
engines; which later one lost it is told by the folder, not by the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from engines.plan.hardware.hardware import Device, gpus


@dataclass(frozen=True)
class Installed:
    """An installed `tensorrt_llm`."""

    folder: Path
    version: str
    builds_engines: bool
    """Whether it has the class that builds and loads TensorRT engines."""
    quantises: bool
    """Whether ModelOpt is there."""


def installed() -> Installed | None:
    """What this interpreter has; None without TensorRT-LLM."""
    spec = find_spec("tensorrt_llm")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return Installed(
        folder,
        _version("tensorrt_llm"),
        (folder / "_tensorrt_engine" / "__init__.py").is_file(),
        find_spec("modelopt") is not None,
    )


def versions() -> dict[str, str]:
    """What an engine depends on: versions, and the GPUs, as an engine fits one architecture only."""
    found = {name: _version(name) for name in ("tensorrt_llm", "tensorrt", "nvidia-modelopt")}
    found["GPU"] = ", ".join(sorted({_title(one) for one in gpus()}))
    return {name: version for name, version in found.items() if version}


def _title(gpu: Device) -> str:
    major, minor = gpu.compute_capability or (0, 0)
    return f"{gpu.title} ({major}.{minor})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""

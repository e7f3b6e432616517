"""Find out what the installed TensorRT-LLM supports by inspecting its folder, without importing it.

An import initialises MPI, prints, and may hang. Releases up to 1.2 have a class that builds TensorRT engines.
Whether a release has it is decided by its folder, not by its version.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from engines.environments.sampler_support import ignored_settings
from engines.plan.hardware.hardware import Device, gpus


@dataclass(frozen=True)
class Installed:
    """The installed package `tensorrt_llm`."""

    folder: Path
    version: str
    builds_engines: bool
    """Whether it has the class that builds and loads TensorRT engines."""
    quantises: bool
    """Whether ModelOpt is installed."""


def installed() -> Installed | None:
    """Return the TensorRT-LLM of this interpreter; None if it is not installed."""
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


def ignored_sampling() -> tuple[str, ...]:
    """Return the fields of Sampling that the sampler of the PyTorch-based class does not read."""
    found = installed()
    return ignored_settings(found.folder) if found else ()


def versions() -> dict[str, str]:
    """Return the versions and GPUs that an engine depends on; it runs on one architecture only."""
    found = {name: _version(name) for name in ("tensorrt_llm", "tensorrt", "nvidia-modelopt")}
    found["GPU"] = ", ".join(sorted({_title(gpu) for gpu in gpus()}))
    return {name: version for name, version in found.items() if version}


def _title(gpu: Device) -> str:
    major, minor = gpu.compute_capability or (0, 0)
    return f"{gpu.title} ({major}.{minor})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""

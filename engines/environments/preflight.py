"""Check everything that an environment needs before anything is downloaded."""

from __future__ import annotations

import ctypes.util
import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from engines.environments.cuda_toolkit import find_toolkit
from engines.environments.recipe import EnvironmentRecipe
from engines.plan.hardware.hardware import gpus
from engines.plan.hardware.nvml import Nvml

CONNECT_SECONDS = 5.0
CONTAINER = "nvcr.io/nvidia/tensorrt-llm/release:<tag>"
"""NVIDIA's image, which has everything: the app runs in it with the image's own interpreter."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    subject: str
    good: bool
    words: str
    remedy: str = ""


def preflight(recipe: EnvironmentRecipe, root: Path) -> list[Finding]:
    """Return everything that can be known before the download. Takes seconds: never on an event loop."""
    return [
        _system(recipe),
        _python(recipe),
        _gpu(recipe),
        _driver(recipe),
        _cuda(recipe),
        _mpi(recipe),
        _disk(recipe, root),
        *(_index(url) for url in recipe.indexes),
    ]


def find_python(recipe: EnvironmentRecipe) -> str | None:
    """Return an interpreter on the PATH of a version that has wheels; None if there is none."""
    for major, minor in recipe.pythons:
        if sys.version_info[:2] == (major, minor):
            return sys.executable
        if (found := shutil.which(f"python{major}.{minor}")) and _has_venv(found):
            return found
    return None


def _system(recipe: EnvironmentRecipe) -> Finding:
    here = platform.system(), platform.machine()
    words = f"{here[0]} on {here[1]}"
    remedy = f"Use a Linux machine, or start the app in {CONTAINER} and run `env use tensorrt-llm python3`."
    return Finding("system", here in recipe.systems, words, remedy)


def _python(recipe: EnvironmentRecipe) -> Finding:
    wanted = " or ".join(f"{major}.{minor}" for major, minor in recipe.pythons)
    if found := find_python(recipe):
        return Finding("python", True, found)
    remedy = f"Install one, such as `sudo apt-get install python{wanted.split()[0]}-venv`."
    return Finding("python", False, f"there are wheels for Python {wanted}, and neither is found", remedy)


def _gpu(recipe: EnvironmentRecipe) -> Finding:
    found = gpus()
    if not found:
        remedy = "On this machine OpenVINO and PyTorch run; TensorRT-LLM needs an NVIDIA GPU."
        return Finding("gpu", False, "no NVIDIA GPU is found", remedy)
    least, best = recipe.compute_capability, max(one.compute_capability or (0, 0) for one in found)
    words = f"{found[0].title}, compute capability {best[0]}.{best[1]}"
    if best >= least:
        return Finding("gpu", True, words)
    remedy = "OpenVINO and PyTorch run here; TensorRT-LLM needs a newer GPU."
    return Finding("gpu", False, f"{words}; {least[0]}.{least[1]} (Ampere) is the least", remedy)


def _driver(recipe: EnvironmentRecipe) -> Finding:
    nvml = Nvml.open()
    version = nvml.text("nvmlSystemGetDriverVersion") if nvml else ""
    if nvml:
        nvml.close()
    major = int(version.split(".")[0]) if version and version.split(".")[0].isdigit() else 0
    if major >= recipe.driver:
        return Finding("driver", True, f"driver {version}")
    words = f"driver {version} is older than {recipe.driver}" if version else "no driver is found"
    remedy = f"Install driver {recipe.driver} or newer (CUDA 13), or the package {recipe.cuda_packages[1]}."
    return Finding("driver", False, words, remedy)


def _cuda(recipe: EnvironmentRecipe) -> Finding:
    wanted, found = f"{recipe.cuda[0]}.{recipe.cuda[1]}", find_toolkit()
    install = (
        f"Install {recipe.cuda_packages[0]} and set CUDA_HOME, such as CUDA_HOME=/usr/local/cuda-{wanted}."
    )
    remedy = f"{install} FlashInfer compiles kernels of the sampler with it."
    if found is None:
        return Finding("cuda", False, "no CUDA toolkit is found: neither nvcc on PATH nor CUDA_HOME", remedy)
    if found.version is None:
        return Finding("cuda", True, str(found.nvcc))
    version = f"{found.version[0]}.{found.version[1]}"
    if found.version[0] < recipe.cuda[0]:
        return Finding("cuda", False, f"{found.nvcc} is of CUDA {version}, older than {wanted}", remedy)
    return Finding("cuda", True, f"{found.nvcc}, CUDA {version}")


def _mpi(recipe: EnvironmentRecipe) -> Finding:
    if _can_load(recipe.mpi):
        return Finding("mpi", True, recipe.mpi)
    other = ctypes.util.find_library("mpi")
    words = f"{recipe.mpi} (Open MPI) is not found"
    if other and other != recipe.mpi:
        words = f"{words}; {other} is another MPI, such as conda's mpich, and does not work"
    return Finding("mpi", False, words, "sudo apt-get install libopenmpi-dev")


def _can_load(library: str) -> bool:
    """Try it in another process, where it can start no threads of this one."""
    try:
        command = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", library]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _disk(recipe: EnvironmentRecipe, root: Path) -> Finding:
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    words = f"{free / 1e9:.0f} GB free at {existing}, {recipe.disk_bytes / 1e9:.0f} GB needed"
    return Finding("disk", free >= recipe.disk_bytes, words, "Free some space there.")


def _index(url: str) -> Finding:
    host = urlsplit(url).hostname or url
    try:
        with socket.create_connection((host, 443), CONNECT_SECONDS):
            return Finding("index", True, f"{host} answers")
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Check the network or its proxy; without it, `env use` takes an environment made elsewhere."
        return Finding("index", False, f"{host} cannot be reached: {reason}", remedy)


def _has_venv(python: str) -> bool:
    try:
        command = [python, "-c", "import venv, ensurepip"]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False

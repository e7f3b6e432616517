"""The documented steps to install TensorRT-LLM into an environment, as data.

https://nvidia.github.io/TensorRT-LLM/installation/linux.html (1.2) and installation-guide.html (newest): a
torch of the cu130 index first, then tensorrt_llm under a constraint, because pip may replace that torch with
another build of the same number. The file on PyPI is a stub that fetches the wheel from pypi.nvidia.com.
There are wheels for Python 3.10 and 3.12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class EnvironmentRecipe:
    """What is installed, from where, and what it requires."""

    package: str
    release: str
    module: str
    constraints: tuple[str, ...]
    torch_index: str
    indexes: tuple[str, ...]
    """Hosts that have to be reachable."""
    pythons: tuple[tuple[int, int], ...]
    """Versions for which there are wheels, best first."""
    systems: tuple[tuple[str, str], ...]
    """Operating system and machine."""
    compute_capability: tuple[int, int]
    driver: int
    """Minimum major version: CUDA 13 requires 580."""
    cuda: tuple[int, int]
    """CUDA toolkit of its documentation. Its nvcc compiles kernels of FlashInfer when they are first used."""
    mpi: str
    """Name by which the library loads MPI."""
    disk_bytes: int
    """The wheels, their unpacked files and pip's cache together."""
    prereleases: bool = False
    """Whether pip has to allow them."""
    uninstalled: tuple[str, ...] = ()
    """Packages whose older releases have to be gone before the installation."""
    no_telemetry: str = ""
    """Environment variable that is set to 1 for processes that import it, so that they send no statistics."""

    @property
    def requirement(self) -> str:
        """`tensorrt_llm==1.2.1`."""
        return f"{self.package}=={self.release}"

    @property
    def cuda_packages(self) -> tuple[str, str]:
        """The packages of the toolkit, and of the libraries that let an older driver run it."""
        number = f"{self.cuda[0]}-{self.cuda[1]}"
        return f"cuda-toolkit-{number}", f"cuda-compat-{number}"


_CUTLASS = "nvidia-cutlass-dsl"
_STABLE = EnvironmentRecipe(
    package="tensorrt_llm",
    release="1.2.1",
    module="tensorrt_llm",
    constraints=("torch==2.9.1",),
    torch_index="https://download.pytorch.org/whl/cu130",
    indexes=("https://pypi.org", "https://download.pytorch.org", "https://pypi.nvidia.com"),
    pythons=((3, 12), (3, 10)),
    systems=(("Linux", "x86_64"), ("Linux", "aarch64")),
    compute_capability=(8, 0),
    driver=580,
    cuda=(13, 1),
    mpi="libmpi.so.40",
    disk_bytes=30 * 10**9,
    no_telemetry="TRTLLM_NO_USAGE_STATS",
)
_NEWEST = replace(
    _STABLE,
    release="1.4.0rc1",
    constraints=("torch==2.12.0",),
    cuda=(13, 2),
    prereleases=True,
    uninstalled=(
        _CUTLASS,
        *(f"{_CUTLASS}-libs-{part}" for part in ("base", "core", "cu12", "cu13")),
    ),
)
RELEASES: dict[str, tuple[EnvironmentRecipe, ...]] = {"tensorrt-llm": (_STABLE, _NEWEST)}
"""The recipes of a backend, the default first and the newest release last."""
RECIPES: dict[str, EnvironmentRecipe] = {name: recipes[0] for name, recipes in RELEASES.items()}
"""The default recipe of each backend that needs an environment."""
NEWEST: dict[str, str] = {name: recipes[-1].release for name, recipes in RELEASES.items()}
"""The newest release of each that has a recipe."""
LOCK_TORCH = """\
import sys
from pathlib import Path

import torch

Path(sys.argv[1]).write_text(f"torch=={torch.__version__}\\n")
print(f"torch is locked to {torch.__version__}")
"""
"""Writes the full version, such as 2.9.1+cu130: `torch==2.9.1` allows the build for another CUDA too."""


def steps(recipe: EnvironmentRecipe, python: str, folder: Path) -> list[tuple[str, list[str]]]:
    """Return title and command line of each step."""
    interpreter = str(folder / "bin" / "python")
    quiet = ["--disable-pip-version-check", "--no-input"]
    pip = [interpreter, "-m", "pip", "install", *quiet]
    constraints = str(folder / "constraints.txt")
    index = ["--extra-index-url", recipe.torch_index]
    library = [recipe.requirement, "psutil", *(["--pre"] if recipe.prereleases else [])]
    uninstall = [interpreter, "-m", "pip", "uninstall", "--yes", *quiet, *recipe.uninstalled]
    return [
        ("create", [python, "-m", "venv", str(folder)]),
        ("pip", [*pip, "--upgrade", "pip", "setuptools<80", "wheel"]),
        ("torch", [*pip, *recipe.constraints, "torchvision", "--index-url", recipe.torch_index]),
        ("lock", [interpreter, "-c", LOCK_TORCH, constraints]),
        *([("clean", uninstall)] if recipe.uninstalled else []),
        ("install", [*pip, *library, "--constraint", constraints, *index]),
    ]

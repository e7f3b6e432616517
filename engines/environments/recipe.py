"""The documented steps to install TensorRT-LLM into an environment, as data.

https://nvidia.github.io/TensorRT-LLM/installation/linux.html: a torch of the cu130 index first, then
tensorrt_llm under a constraint, because pip may replace that torch with another. The file on PyPI is a stub
that fetches the wheel from pypi.nvidia.com; there are wheels for Python 3.10 and 3.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EnvironmentRecipe:
    """What is installed, from where, and what it requires."""

    package: str
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
    disk_bytes: int
    """The wheels, their unpacked files and pip's cache together."""


RECIPES: dict[str, EnvironmentRecipe] = {
    "tensorrt-llm": EnvironmentRecipe(
        package="tensorrt_llm==1.2.1",
        module="tensorrt_llm",
        constraints=("torch==2.9.1",),
        torch_index="https://download.pytorch.org/whl/cu130",
        indexes=("https://pypi.org", "https://download.pytorch.org", "https://pypi.nvidia.com"),
        pythons=((3, 12), (3, 10)),
        systems=(("Linux", "x86_64"), ("Linux", "aarch64")),
        compute_capability=(8, 0),
        driver=580,
        disk_bytes=30 * 10**9,
    )
}


def steps(recipe: EnvironmentRecipe, python: str, folder: Path) -> list[tuple[str, list[str]]]:
    """Return title and command line of each step."""
    interpreter = str(folder / "bin" / "python")
    pip = [interpreter, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    constraints = folder / "constraints.txt"
    return [
        ("create", [python, "-m", "venv", str(folder)]),
        ("pip", [*pip, "--upgrade", "pip", "setuptools<80", "wheel"]),
        ("torch", [*pip, *recipe.constraints, "torchvision", "--index-url", recipe.torch_index]),
        (
            "install",
            [
                *pip,
                recipe.package,
                "psutil",
                "--constraint",
                str(constraints),
                "--extra-index-url",
                recipe.torch_index,
            ],
        ),
    ]

"""Create a virtual environment with the TensorRT-LLM double, in about a second, sharing our libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.environments.interpreters import Interpreter, interpreter, register

DOUBLES = Path(__file__).parents[1] / "doubles"
DOUBLE, NVML = DOUBLES / "tensorrt_llm", DOUBLES / "nvml.py"
OURS = "ours.pth"
"""The file that lends an environment our libraries."""


@contextmanager
def registered(backend: str, found: Interpreter) -> Iterator[None]:
    """Register an interpreter for the block, and then what was registered before."""
    before = interpreter(backend)
    register(backend, found)
    try:
        yield
    finally:
        register(backend, before)


def make_environment(folder: Path, generation: str) -> Path:
    """Create the environment in `folder` and return its interpreter.

    Args:
        generation: `1_2`, with the engine class, or `main`, without it.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = packages_of(folder / "bin" / "python")
    (packages / OURS).write_text(sysconfig.get_paths()["purelib"] + "\n")
    for part in ("both", f"generation_{generation}"):
        shutil.copytree(
            DOUBLE / part, packages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    python = folder / "bin" / "python"
    set_version(python, {"1_2": "1.2.1", "main": "1.4.0rc1"}[generation])
    return python


def set_version(python: Path, version: str) -> None:
    """Make the environment report this version of TensorRT-LLM."""
    packages = packages_of(python)
    for earlier in packages.glob("tensorrt_llm-*.dist-info"):
        shutil.rmtree(earlier)
    facts = packages / f"tensorrt_llm-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tensorrt_llm\nVersion: {version}\n")


def set_gpu(python: Path, name: str, capability: tuple[int, int]) -> None:
    """Make the environment's workers find this GPU."""
    library = f"_library = Nvml(gpus=(Gpu({name!r}, compute_capability={capability}),))"
    module = (
        f"{NVML.read_text()}\n{library}\n\n\ndef __getattr__(name):\n    return getattr(_library, name)\n"
    )
    (packages_of(python) / "pynvml.py").write_text(module)


def is_double(python: str) -> bool:
    """Whether an interpreter is that of such an environment."""
    return any(Path(python).parents[1].glob(f"lib/python*/site-packages/{OURS}"))


def packages_of(python: Path) -> Path:
    """Where the environment's own libraries are."""
    return next(python.parents[1].glob("lib/python*/site-packages"))

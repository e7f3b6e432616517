"""The CUDA compiler of this machine: FlashInfer compiles the kernels of the sampler with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

USUAL = "/usr/local/cuda"
"""Where NVIDIA's packages install it, and FlashInfer looks last."""


@dataclass(frozen=True)
class CudaToolkit:
    """An installed toolkit."""

    nvcc: Path
    version: tuple[int, int] | None
    """None if nvcc does not tell it."""


def find_toolkit() -> CudaToolkit | None:
    """Return the toolkit of CUDA_HOME, of the PATH, or of its usual folder; None without one."""
    folders = [home for name in ("CUDA_HOME", "CUDA_PATH") if (home := os.environ.get(name))]
    candidates = [*(Path(home) / "bin" / "nvcc" for home in folders)]
    if found := shutil.which("nvcc"):
        candidates.append(Path(found))
    candidates.append(Path(USUAL) / "bin" / "nvcc")
    nvcc = next((path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None)
    return CudaToolkit(nvcc, _version(nvcc)) if nvcc else None


def _version(nvcc: Path) -> tuple[int, int] | None:
    try:
        printed = subprocess.run(
            [nvcc, "--version"], capture_output=True, text=True, errors="replace", timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"release (\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else None

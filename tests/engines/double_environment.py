"""An environment of its own with the double of TensorRT-LLM in it: made in a second, with our libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

DOUBLE = Path(__file__).parents[1] / "doubles" / "tensorrt_llm"


def make_environment(folder: Path, generation: str) -> Path:
    """Create it; returns its interpreter.

    Args:
        generation: `1_2`, with the engine class, or `main`, without.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for part in ("both", f"generation_{generation}"):
        shutil.copytree(
            DOUBLE / part, packages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    version = {"1_2": "1.2.1", "main": "1.4.0rc1"}[generation]
    facts = packages / f"tensorrt_llm-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tensorrt_llm\nVersion: {version}\n")
    return folder / "bin" / "python"

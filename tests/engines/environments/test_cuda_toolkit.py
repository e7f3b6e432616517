"""Where the CUDA compiler is looked for, and its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.environments import cuda_toolkit
from engines.environments.cuda_toolkit import CudaToolkit, find_toolkit

PRINTED = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release {}, V13.1.80"


def install(home: Path, version: str) -> Path:
    """Write an nvcc that prints its version."""
    nvcc = home / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f"#!/bin/sh\necho '{PRINTED.format(version)}'\n")
    nvcc.chmod(0o755)
    return nvcc


@pytest.fixture(autouse=True)
def without_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without CUDA."""
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(cuda_toolkit, "USUAL", str(tmp_path / "usual"))


def test_without_a_toolkit_none_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_toolkit() is None
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "gone"))
    assert find_toolkit() is None


@pytest.mark.parametrize("name", ["CUDA_HOME", "CUDA_PATH"])
def test_that_of_the_variable_comes_before_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    old, new = install(tmp_path / "old", "12.4"), install(tmp_path / "new", "13.1")
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    assert find_toolkit() == CudaToolkit(old, (12, 4))
    monkeypatch.setenv(name, str(tmp_path / "new"))
    assert find_toolkit() == CudaToolkit(new, (13, 1))


def test_the_usual_folder_is_the_last(tmp_path: Path) -> None:
    nvcc = install(tmp_path / "usual", "13.2")
    assert find_toolkit() == CudaToolkit(nvcc, (13, 2))


def test_one_that_does_not_tell_its_version_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvcc = install(tmp_path, "unknown")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert find_toolkit() == CudaToolkit(nvcc, None)

"""The steps of each release, and the lock of torch's build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.environments.recipe import LOCK_TORCH, NEWEST, RECIPES, RELEASES, steps

STABLE, NEW = RELEASES["tensorrt-llm"]
FOLDER = Path("/made")


def commands(release: int) -> dict[str, str]:
    """The command line of each step, by title."""
    return {title: " ".join(line) for title, line in steps(RELEASES["tensorrt-llm"][release], "py", FOLDER)}


def test_the_default_is_the_stable_release() -> None:
    assert RECIPES["tensorrt-llm"] is STABLE
    assert (STABLE.requirement, NEWEST["tensorrt-llm"]) == ("tensorrt_llm==1.2.1", "1.4.0rc1")
    assert STABLE.cuda_packages == ("cuda-toolkit-13-1", "cuda-compat-13-1")
    assert NEW.cuda_packages == ("cuda-toolkit-13-2", "cuda-compat-13-2")


def test_torch_is_locked_between_its_installation_and_that_of_the_library() -> None:
    for release, torch in ((0, "torch==2.9.1"), (1, "torch==2.12.0")):
        found = commands(release)
        order = list(found)
        assert order.index("torch") + 1 == order.index("lock") < order.index("install")
        assert f"{torch} torchvision --index-url {STABLE.torch_index}" in found["torch"]
        assert "--constraint /made/constraints.txt" in found["install"]
        assert found["lock"].endswith(" /made/constraints.txt")
        assert "setuptools<80" in found["pip"]


def test_the_newest_release_is_a_pre_release_and_replaces_cutlass() -> None:
    stable, newest = commands(0), commands(1)
    assert "clean" not in stable
    assert "--pre" not in stable["install"]
    assert "tensorrt_llm==1.4.0rc1 psutil --pre" in newest["install"]
    assert "uninstall --yes" in newest["clean"]
    assert newest["clean"].endswith(
        "nvidia-cutlass-dsl nvidia-cutlass-dsl-libs-base nvidia-cutlass-dsl-libs-core "
        "nvidia-cutlass-dsl-libs-cu12 nvidia-cutlass-dsl-libs-cu13"
    )
    assert list(newest).index("clean") < list(newest).index("install")


@pytest.mark.parametrize("version", ["2.9.1+cu130", "2.12.0+cu130"])
def test_the_lock_holds_the_build_that_is_installed(tmp_path: Path, version: str) -> None:
    (tmp_path / "torch.py").write_text(f"__version__ = {version!r}\n")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("torch==2.9.1\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{LOCK_TORCH}"
    subprocess.run([sys.executable, "-c", code, str(constraints)], check=True)
    assert constraints.read_text() == f"torch=={version}\n"

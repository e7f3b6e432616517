"""What prevents an environment for TensorRT-LLM, as `trt-playground env` reports it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.state.settings.paths import environment_folder
from engines.environments import preflight
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment

T4 = Gpu("Tesla T4", compute_capability=(7, 5))


def env(*words: str) -> tuple[int, str]:
    """Exit code and everything printed, its lines joined."""
    result = CliRunner().invoke(cli, ["env", *words])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(autouse=True)
def a_good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, MPI, a Python, and every index in reach: each test takes one of them away."""

    class Connection:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))
    monkeypatch.setattr(preflight, "find_python", lambda _: sys.executable)
    monkeypatch.setattr(preflight.ctypes.util, "find_library", lambda _: "libmpi.so.40")
    monkeypatch.setattr(preflight.socket, "create_connection", lambda *_: Connection())
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))
    monkeypatch.setattr(preflight.platform, "system", lambda: "Linux")
    monkeypatch.setattr(preflight.platform, "machine", lambda: "x86_64")


def refused(expected: str) -> None:
    """`env create` ends before it downloads anything, with this among what it prints."""
    code, text = env("create", "tensorrt-llm")
    assert code == 1
    assert expected in text
    assert text.count("✗") == 2, text  # of the finding, and of the sentence that points to it
    assert "Nothing was downloaded. Fix the items marked ✗, or add --force." in text
    assert not environment_folder().exists()


def test_no_index_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = preflight.socket.create_connection

    def unreachable(address: tuple[str, int], seconds: float) -> object:
        if address[0] == "pypi.nvidia.com":
            raise OSError(-2, "Name or service not known")
        return connect(address, seconds)

    monkeypatch.setattr(preflight.socket, "create_connection", unreachable)
    refused(
        "✗ index pypi.nvidia.com cannot be reached: Name or service not known "
        "Check the network or its proxy; without it, `env use` takes an environment made elsewhere."
    )


def test_the_driver_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),), driver="535.104.05"))
    refused(
        "✗ driver driver 535.104.05 is older than 580 "
        "Install driver 580 or newer (CUDA 13), or the package cuda-compat-13-1."
    )


def test_the_gpu_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(T4,)))
    refused(
        "✗ gpu Tesla T4, compute capability 7.5; 8.0 (Ampere) is the least "
        "OpenVINO and PyTorch run here; TensorRT-LLM needs a newer GPU."
    )


def test_no_python_has_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_python", lambda _: None)
    code, text = env("create", "tensorrt-llm", "--force")
    assert code == 1
    assert "there are wheels for Python 3.12 or 3.10, and neither is found Install one" in text
    assert text.endswith("Nothing was downloaded. Fix the items marked ✗.")


def test_mpi_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.ctypes.util, "find_library", lambda _: None)
    refused("✗ mpi libmpi is not found sudo apt-get install libopenmpi-dev")


@pytest.mark.timeout(200)
def test_the_index_goes_away_while_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (
        ("CONFIG_FILE", "/dev/null"),
        ("INDEX_URL", "https://127.0.0.1:9/"),
        ("RETRIES", "1"),
    ):
        monkeypatch.setenv(f"PIP_{name}", value)
    code, text = env("create", "tensorrt-llm")
    assert code == 1
    assert "The step 'pip' failed: " in text, text
    assert "The package index was not reached: check the network, HTTPS_PROXY and PIP_INDEX_URL" in text
    assert text.endswith("what was in use is unchanged.")
    assert not [*environment_folder().iterdir()]


@pytest.mark.parametrize(
    ("bad_day", "words"),
    [
        ("hang-at-import", "✗ The import hangs: it has done nothing for 2 s."),
        ("libmpi", "✗ The import failed: ImportError: libmpi.so.40: cannot open shared object file"),
    ],
)
def test_an_import_that_does_not_work(
    bad_day: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_environment(tmp_path / "made", "main")
    assert env("use", "tensorrt-llm", str(python))[0] == 0
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", bad_day)
    seconds = "2" if bad_day.startswith("hang") else "60"
    code, text = env("check", "--seconds", seconds)
    assert code == 1
    assert words in text
    assert "libopenmpi-dev" in text

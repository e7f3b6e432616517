"""What prevents an environment for TensorRT-LLM, as `trt-playground env` reports it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.state.settings.paths import environment_folder
from engines.environments import preflight, trial
from engines.environments.cuda_toolkit import CudaToolkit
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.double_environment import make_environment

T4 = Gpu("Tesla T4", compute_capability=(7, 5))


def env(*words: str) -> tuple[int, str]:
    """Exit code and everything printed, its lines joined."""
    result = CliRunner().invoke(cli, ["env", *words])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(autouse=True)
def a_good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, MPI, the CUDA toolkit, a Python, and every index in reach: each test takes one of them away."""

    class Connection:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),)))
    monkeypatch.setattr(preflight, "find_python", lambda _: sys.executable)
    monkeypatch.setattr(preflight, "_can_load", lambda library: library == "libmpi.so.40")
    monkeypatch.setattr(preflight, "find_toolkit", lambda: CudaToolkit(Path("/cuda/bin/nvcc"), (13, 1)))
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
    monkeypatch.setattr(preflight, "_can_load", lambda _: False)
    monkeypatch.setattr(preflight.ctypes.util, "find_library", lambda _: None)
    refused("✗ mpi libmpi.so.40 (Open MPI) is not found sudo apt-get install libopenmpi-dev")


def test_another_mpi_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """As conda's mpich, whose library has another name."""
    monkeypatch.setattr(preflight, "_can_load", lambda _: False)
    monkeypatch.setattr(preflight.ctypes.util, "find_library", lambda _: "libmpi.so.12")
    refused(
        "✗ mpi libmpi.so.40 (Open MPI) is not found; libmpi.so.12 is another MPI, such as conda's mpich, "
        "and does not work sudo apt-get install libopenmpi-dev"
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "✗ cuda no CUDA toolkit is found: neither nvcc on PATH nor CUDA_HOME"),
        (CudaToolkit(Path("/c/nvcc"), (12, 4)), "✗ cuda /c/nvcc is of CUDA 12.4, older than 13.1"),
    ],
)
def test_the_cuda_toolkit_is_missing_or_old(
    found: CudaToolkit | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "find_toolkit", lambda: found)
    refused(
        f"{words} Install cuda-toolkit-13-1 and set CUDA_HOME, such as CUDA_HOME=/usr/local/cuda-13.1. "
        "FlashInfer compiles kernels of the sampler with it."
    )


def test_another_release_has_its_own_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_toolkit", lambda: None)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(gpus=(Gpu(),), driver="535.104.05"))
    code, text = env("create", "tensorrt-llm", "--release", "1.4.0rc1")
    assert code == 1
    assert "Install cuda-toolkit-13-2 and set CUDA_HOME" in text
    assert "cuda-compat-13-2" in text
    code, text = env("create", "tensorrt-llm", "--release", "1.3.0rc18")
    assert code == 2
    assert "There is no recipe for tensorrt-llm 1.3.0rc18. There are: 1.2.1, 1.4.0rc1. `env use`" in text


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


@pytest.mark.parametrize("generation", ["1_2", "main"])
def test_a_sampler_that_cannot_compile_its_kernels(
    generation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import works all the same, and the failure has the words of the library."""
    python = make_environment(tmp_path / "made", generation)
    assert env("use", "tensorrt-llm", str(python))[0] == 0
    monkeypatch.setattr(trial, "gpus", lambda: [object()])
    code, text = env("check", "--run")
    assert code == 0, text
    assert "✓ It can be imported. ✓ It samples: one token of the demo checkpoint was drawn." in text
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "no-nvcc")
    code, text = env("check", "--run")
    assert code == 1
    assert "✓ It can be imported. ✗ It can be imported, but sampling a token failed: RequestError:" in text
    assert "Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist." in text
    toolkit = {"1_2": "cuda-toolkit-13-1", "main": "cuda-toolkit-13-2"}[generation]
    assert f"Install {toolkit} and set CUDA_HOME: FlashInfer compiles kernels with nvcc." in text
    assert env("check")[0] == 0, "without --run nothing is sampled"


def test_sampling_is_skipped_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = make_environment(tmp_path / "made", "main")
    assert env("use", "tensorrt-llm", str(python))[0] == 0
    monkeypatch.setattr(trial, "gpus", list)
    code, text = env("check", "--run")
    assert code == 0
    assert "· Sampling was not tried: no NVIDIA GPU is found." in text


def test_the_interpreter_of_a_container_is_named_as_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_environment(tmp_path / "made", "main")
    monkeypatch.setenv("PATH", str(python.parent), prepend=":")
    code, text = env("use", "tensorrt-llm", "python")
    assert code == 0, text
    assert str(python) in text

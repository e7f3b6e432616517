"""`--calibration` and `--gpus` are set on engines that support them, and refused for all others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

from app.cli.arguments import engine_spec
from app.cli.engine_options import with_options
from app.state.settings.settings import EngineChoice
from tests.app.cli.test_main import run
from tests.doubles.nvml import Gpu, Nvml

FP8, PYTORCH = EngineChoice("tensorrt-llm", "fp8"), EngineChoice("pytorch", "fp32")
OPENVINO = EngineChoice("openvino", "int8")


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text long enough for calibration, in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.txt").write_text("What people really ask. " * 100)
    return tmp_path / "mine.txt"


@pytest.fixture
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml((Gpu(uuid="GPU-0"), Gpu(uuid="GPU-1"))))


@pytest.mark.usefixtures("_two_gpus")
def test_each_engine_gets_the_options_it_supports(text: Path) -> None:
    left, right = with_options((FP8, PYTORCH), Path("~/mine.txt"), 2)
    assert left == EngineChoice("tensorrt-llm", "fp8", calibration=str(text), gpus=2)
    assert right == EngineChoice("pytorch", "fp32", gpus=2)
    assert with_options((FP8, OPENVINO), None, 2)[1] == OPENVINO
    (plain,) = with_options([EngineChoice("tensorrt-llm", "bf16", gpus=2)], None, 1)
    assert plain.gpus == 1


@pytest.mark.usefixtures("_two_gpus")
def test_options_reach_the_spec(text: Path) -> None:
    spec = engine_spec("demo", "tensorrt-llm:fp8", 512, text, 2)
    assert spec.options == {"calibration": str(text), "tensor_parallel_size": "2"}
    assert spec.devices == ("cuda:0", "cuda:1")


def test_int4_can_be_built_without_calibration() -> None:
    int4 = EngineChoice("openvino", "int4")
    (chosen, other) = with_options((int4, PYTORCH), Path("none"), None)
    assert other == PYTORCH
    assert (int4.options, chosen.options) == ({"recipe": "calibrated"}, {})
    with pytest.raises(typer.BadParameter) as caught:
        with_options((FP8,), Path("none"), None)
    assert caught.value.message == (
        "tensorrt-llm:fp8 cannot be built without calibration. OpenVINO's int4 and llama.cpp's q4_k_m can."
    )


@pytest.mark.usefixtures("_two_gpus")
def test_options_that_cannot_be_used_are_refused(text: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("short")
    for choices, calibration, gpus, expected in (
        (
            (PYTORCH,),
            text,
            None,
            "pytorch:fp32 cannot be calibrated. Only quantised precisions of OpenVINO, "
            "llama.cpp, TensorRT and TensorRT-LLM can.",
        ),
        ((EngineChoice("tensorrt-llm", "bf16"),), text, None, "cannot be calibrated"),
        ((FP8,), tmp_path, None, "It is a folder"),
        ((FP8,), tmp_path / "none.txt", None, "There is no such file"),
        ((FP8,), tmp_path / "short.txt", None, "at least 1,500 are needed"),
        ((OPENVINO,), None, 2, "Only PyTorch, PyTorch compiled and TensorRT-LLM can be split"),
        ((FP8,), None, 4, "4 is not possible on this machine. Choose 1 or 2."),
        ((FP8,), None, 3, "3 is not possible on this machine"),
    ):
        with pytest.raises(typer.BadParameter) as caught:
            with_options(choices, calibration, gpus)
        assert expected in caught.value.message


def test_a_missing_calibration_file_is_reported_before_a_worker_starts() -> None:
    done = run("ask", "Hello", "--engine", "tensorrt-llm:fp8", "--calibration", "/no/such/file.txt")
    assert done.returncode == 2
    assert "no such file" in done.stderr.lower()
    assert "Traceback" not in done.stderr

"""`trt-playground engines build`: with the real builders, without loading anything."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.state.settings.paths import engine_store
from engines.build.store import EngineStore


def run(*arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr in one line each."""
    result = CliRunner().invoke(cli, ["engines", "build", *arguments])
    return result.exit_code, *(" ".join(text.split()) for text in (result.stdout, result.stderr))


def test_an_engine_for_a_gpu_that_is_not_here() -> None:
    """Its phases are shown, it is not tested, and the second call finds it."""
    code, out, shown = run("--engine", "tensorrt:int8", "--for", "sm_120", "--context", "256")
    assert code == 0, shown
    assert re.match(r"Built in [\d.]+ s: TensorRT int8 for sm120, [\d.]+ MiB, [0-9a-f]{20}", out)
    assert "build (2 of 4)" in shown
    assert "Optimizing graph" in shown
    assert "no smoke test: it was built for sm120" in shown
    (engine,) = EngineStore(engine_store()).engines()
    assert engine.spec.options == {"target": "sm120", "context": "256"}
    code, out, _ = run("--engine", "tensorrt:int8", "--for", "SM120", "--context", "256")
    assert code == 0
    assert out.startswith("Already built: TensorRT int8 for sm120")


def test_engines_of_other_backends() -> None:
    code, out, shown = run("--engine", "onnxruntime:int8", "--context", "256")
    assert code == 0, shown
    assert "ONNX Runtime int8" in out
    assert "smoke test ✓" in shown
    assert run("--engine", "pytorch:fp32")[:2] == (0, "PyTorch fp32 builds nothing: it loads the checkpoint.")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--engine", "tensorrt:fp16"), 1, "TensorRT runs on NVIDIA GPUs only."),
        (("--engine", "tensorrt:fp16", "--for", "sm90"), 1, "not on those of data centres"),
        (("--engine", "tensorrt:fp8", "--for", "sm86"), 1, "FP8 needs compute capability 8.9 (Ada)."),
        (("--engine", "tensorrt:nvfp4", "--for", "sm120"), 1, "without calibration"),
        (("--engine", "tensorrt:fp16", "--for", "rtx4090"), 2, "Write it like sm86"),
        (("--engine", "openvino:int8", "--for", "sm89"), 2, "OpenVINO engines are not built for one GPU."),
        (
            ("--engine", "tensorrt:fp16", "--for", "sm89", "-m", "/proc/nowhere"),
            1,
            "There is no folder '/proc/nowhere'.",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: tuple[str, ...], code: int, reason: str) -> None:
    found, _, shown = run(*arguments)
    assert found == code
    assert reason in re.sub(r"[│╭╮╰╯─\s]+", " ", shown)
    assert not EngineStore(engine_store()).engines()

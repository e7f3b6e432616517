"""The KV cache is updated in place: ONNX Runtime copies nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from engines.backends.onnxruntime.runner import WARNINGS, OnnxRunner
from engines.plan.decoder.decoder import read_decoder
from tests.engines.backends.onnxruntime.conftest import Build
from tests.engines.conftest import Checkpoint
from tests.engines.measures import tokens

COPIES = "in-place optimization not activated"
"""What ONNX Runtime warns of, on the standard error of the process."""


def opened(folder: Path, directory: Path) -> OnnxRunner:
    return OnnxRunner(directory, read_decoder(folder), 128, severity=WARNINGS)


def compute(runner: OnnxRunner) -> None:
    """Compute a prompt in one pass, and three tokens after it."""
    ids = tokens(20)
    for part in (ids[:17], *([token] for token in ids[17:])):
        list(runner.append(part, len(runner.cached_ids)))


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_cache_is_not_copied(
    family: str, precision: str, checkpoint: Checkpoint, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    runner = opened(checkpoint(family), build(checkpoint(family), precision))
    compute(runner)
    assert COPIES not in capfd.readouterr().err


def test_a_copy_would_be_noticed(
    checkpoint: Checkpoint, build: Build, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other memory for the present, which the runner avoids, ONNX Runtime warns."""
    runner = opened(checkpoint(), build(checkpoint()))
    bind = onnxruntime.IOBinding.bind_output

    def elsewhere(binding: Any, name: str, *place: Any) -> None:
        if name.startswith("present."):
            bind(binding, name, "cpu")
        else:
            bind(binding, name, *place)

    monkeypatch.setattr(onnxruntime.IOBinding, "bind_output", elsewhere)
    compute(runner)
    assert COPIES in capfd.readouterr().err

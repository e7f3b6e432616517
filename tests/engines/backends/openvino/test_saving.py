"""A full disk is called a full disk, also where OpenVINO hides it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as op

from engines.backends.openvino import saving
from engines.errors import EngineError


def model() -> ov.Model:
    """A model with 4 MB of weights."""
    weights = op.constant(np.ones((1024, 1024), np.float32))
    values = op.parameter([1, 1024], np.float32)
    return ov.Model([op.matmul(values, weights, False, False)], [values])


def refusal(directory: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> EngineError:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(ov, "save_model", fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(EngineError) as caught:
        saving.save(model(), directory)
    return caught.value


def test_a_disk_that_has_room_for_a_test_write_only_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO removed what it had written, so that the test write succeeds."""
    error = refusal(tmp_path, monkeypatch, free=3_000_000)
    assert error.code == "disk-full"
    assert error.message == "The disk filled up while the engine was written (the engine takes 4.2 MB)."


def test_with_enough_space_the_reason_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(tmp_path, monkeypatch, free=30_000_000)
    assert (error.code, "iostream error" in error.message) == ("write-failed", True)

"""A quantised engine is held against its checkpoint before it is relied on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS
from engines.backends.tensorrt_llm.reference import BOUNDS
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.worker import protocol
from engines.worker.process import EngineProcess


@pytest.fixture
def calibration(tmp_path: Path) -> str:
    """A short text: calibrating takes a second."""
    file = tmp_path / "calibration.txt"
    file.write_text("A KV cache keeps the keys and values of tokens that were read before. " * 60)
    return str(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the engine is written."""
    made = tmp_path / "engine"
    made.mkdir()
    return made


async def prepared(python: str, folder: Path, calibration: str) -> list[protocol.Event]:
    """All that a worker says while it prepares FP8."""
    options = {"calibration": calibration}
    wanted = EngineSpec(str(CHECKPOINT), "tensorrt-llm", "fp8", "cuda:0", context=64, options=options)
    process = await EngineProcess.start("tensorrt-llm", folder.with_suffix(".log"), python=python)
    try:
        command = protocol.Prepare(process.next_id(), wanted.to_json(), str(folder))
        return [event async for event in process.run(command)]
    finally:
        await process.kill()


async def test_close_to_its_checkpoint(without_engines: str, folder: Path, calibration: str) -> None:
    events = await prepared(without_engines, folder, calibration)
    assert isinstance(events[-1], protocol.Prepared), events[-1]
    lines = [event.line for event in events if isinstance(event, protocol.Log)]
    assert any("KL divergence 0.00" in line and "same first token" in line for line in lines), lines


async def test_mixed_up_weights_are_told(
    without_engines: str, folder: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "corrupt-weights")
    error = (await prepared(without_engines, folder, calibration))[-1]
    assert isinstance(error, protocol.Error)
    assert error.code == "smoke-test"
    assert "too far from its checkpoint: KL divergence" in error.message
    assert "fp8 may have 0.025" in error.message
    assert "another precision" in error.hint


def test_every_precision_that_is_made_has_a_bound() -> None:
    assert {*BOUNDS} == {*CONFIGURATIONS}
    for bound in BOUNDS.values():
        assert 0 < bound.most < 1
        assert bound.source

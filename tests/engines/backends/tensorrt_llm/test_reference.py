"""A quantised engine is held against its checkpoint before it is relied on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS
from engines.backends.tensorrt_llm.reference import BOUNDS, read
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


async def prepared(
    python: str, folder: Path, calibration: str, precision: str = "fp8"
) -> list[protocol.Event]:
    """All that a worker says while it prepares the demo."""
    options = {"calibration": calibration}
    wanted = EngineSpec(str(CHECKPOINT), "tensorrt-llm", precision, "cuda:0", context=64, options=options)
    process = await EngineProcess.start("tensorrt-llm", folder.with_suffix(".log"), python=python)
    try:
        command = protocol.Prepare(process.next_id(), wanted.to_json(), str(folder))
        return [event async for event in process.run(command)]
    finally:
        await process.kill()


def lines(events: list[protocol.Event]) -> list[str]:
    """The log."""
    return [event.line for event in events if isinstance(event, protocol.Log)]


async def test_close_to_its_checkpoint(without_engines: str, folder: Path, calibration: str) -> None:
    events = await prepared(without_engines, folder, calibration)
    assert isinstance(events[-1], protocol.Prepared), events[-1]
    told = lines(events)
    assert any("KL divergence 0.00" in line and "same first token" in line for line in told), told


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


async def test_an_engine_is_held_against_the_likeliest_tokens(
    with_engines: str, folder: Path, calibration: str
) -> None:
    events = await prepared(with_engines, folder, calibration, "int8-sq")
    assert isinstance(events[-1], protocol.Prepared), events[-1]
    stages = [event.name for event in events if isinstance(event, protocol.Stage)]
    assert stages == ["reference", "import", "build", "smoke test"]
    told = lines(events)
    assert any("gather_context_logits" in line for line in told), told
    found = [re.search(r"(\d+) of (\d+) first tokens are those of the checkpoint", line) for line in told]
    same, of = next((int(one[1]), int(one[2])) for one in found if one)
    assert of >= 40
    assert same >= of - 2  # the same weights, in fp32: ties in bf16 may go the other way
    assert read(folder) is not None


async def test_an_engine_with_mixed_up_weights_is_told(
    with_engines: str, folder: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "corrupt-weights")
    error = (await prepared(with_engines, folder, calibration, "int8-sq"))[-1]
    assert isinstance(error, protocol.Error)
    assert error.code == "smoke-test"
    assert "first tokens are those of the checkpoint; at least 50% should be" in error.message


def test_every_precision_that_is_made_has_a_bound() -> None:
    assert {*BOUNDS} == {*CONFIGURATIONS}
    for bound in BOUNDS.values():
        assert 0 < bound.most < 1
        assert bound.source

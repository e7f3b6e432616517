"""The smoke test compares a quantised engine with its unquantised checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS
from engines.backends.tensorrt_llm.reference import BOUNDS, read_reference
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.worker import protocol
from tests.doubles.fork_server import fork_worker


@pytest.fixture
def calibration(tmp_path: Path) -> str:
    """A short calibration text, with which calibration takes a second."""
    file = tmp_path / "calibration.txt"
    file.write_text("A KV cache keeps the keys and values of tokens that were read before. " * 60)
    return str(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the engine."""
    made = tmp_path / "engine"
    made.mkdir()
    return made


async def prepared(
    python: str, folder: Path, calibration: str, precision: str = "fp8"
) -> list[protocol.Event]:
    """Prepare the demo checkpoint and return all events."""
    options = {"calibration": calibration}
    wanted = EngineSpec(str(CHECKPOINT), "tensorrt-llm", precision, "cuda:0", context=64, options=options)
    process = await fork_worker("tensorrt-llm", folder.with_suffix(".log"), python)
    try:
        command = protocol.Prepare(process.next_id(), wanted.to_json(), str(folder))
        return [event async for event in process.run(command)]
    finally:
        await process.kill()


def lines(events: list[protocol.Event]) -> list[str]:
    """Return the log lines."""
    return [event.line for event in events if isinstance(event, protocol.Log)]


async def test_close_to_its_checkpoint(without_engines: str, folder: Path, calibration: str) -> None:
    events = await prepared(without_engines, folder, calibration)
    assert isinstance(events[-1], protocol.Prepared), events[-1]
    assert not events[-1].loaded  # what quantised keeps memory: another process loads the engine
    log = lines(events)
    assert any("KL divergence 0.00" in line and "same top token" in line for line in log), log


async def test_permuted_weights_fail_the_smoke_test(
    without_engines: str, folder: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "corrupt-weights")
    error = (await prepared(without_engines, folder, calibration))[-1]
    assert isinstance(error, protocol.Error)
    assert error.code == "smoke-test"
    assert "diverges too much from its checkpoint: KL divergence" in error.message
    assert "the limit for fp8 is 0.025" in error.message
    assert "another precision" in error.hint


async def test_a_tensorrt_engine_is_compared_by_its_top_tokens(
    with_engines: str, folder: Path, calibration: str
) -> None:
    events = await prepared(with_engines, folder, calibration, "int8-sq")
    assert isinstance(events[-1], protocol.Prepared), events[-1]
    stages = [event.name for event in events if isinstance(event, protocol.Stage)]
    assert stages == ["reference", "import", "build", "smoke test"]
    log = lines(events)
    assert any("gather_context_logits" in line for line in log), log
    found = [re.search(r"(\d+) of (\d+) top tokens are those of the checkpoint", line) for line in log]
    same, total = next((int(match[1]), int(match[2])) for match in found if match)
    assert total >= 40
    assert same >= total - 2  # the same weights in fp32; ties in bf16 may be broken differently
    assert read_reference(folder) is not None


async def test_a_tensorrt_engine_with_permuted_weights_fails_the_smoke_test(
    with_engines: str, folder: Path, calibration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORRT_LLM_DOUBLE", "corrupt-weights")
    error = (await prepared(with_engines, folder, calibration, "int8-sq"))[-1]
    assert isinstance(error, protocol.Error)
    assert error.code == "smoke-test"
    assert "top tokens are those of the checkpoint; at least 50 % should be" in error.message


def test_every_quantised_precision_has_a_bound() -> None:
    assert {*BOUNDS} == {*CONFIGURATIONS}
    for bound in BOUNDS.values():
        assert 0 < bound.limit < 1
        assert bound.source

"""What is picked for one side: what was wanted is kept while something else does not take it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.state.prepare.engine_selection import EngineSelection, file_problem
from app.state.prepare.machine_state import tightest
from app.state.settings.settings import EngineChoice
from engines.backends.registry import BACKENDS
from engines.environments.interpreters import Interpreter
from engines.plan.hardware.hardware import Device
from engines.plan.precision import PRECISIONS
from tests.engines.double_environment import registered

CPU = Device("cpu", "cpu", "A processor", 1 << 34, 1 << 34)
GPUS = tuple(
    Device(f"cuda:{index}", "cuda", "NVIDIA H200", 1 << 37, (9 - index) << 30, compute_capability=(9, 0))
    for index in range(4)
)
WANTED = EngineChoice("tensorrt-llm", "fp8", calibration="~/mine.txt", gpus=4)


@pytest.fixture(autouse=True)
def _tensorrt_llm() -> Iterator[None]:
    with registered("tensorrt-llm", Interpreter(sys.executable)):
        yield


def test_options_come_back_with_an_engine_that_takes_them() -> None:
    pick = EngineSelection(WANTED, CPU, GPUS)
    assert pick.choice == WANTED
    assert pick.devices == GPUS
    pick.backend, pick.precision = "openvino", "int8"
    assert pick.choice == EngineChoice("openvino", "int8")
    assert pick.devices == (CPU,)
    pick.backend, pick.precision = "tensorrt-llm", "bf16"
    assert pick.choice == EngineChoice("tensorrt-llm", "bf16", gpus=4)
    pick.precision = "fp8"
    assert pick.choice == WANTED


def test_what_this_release_does_not_know_is_replaced_by_the_default() -> None:
    """Settings of another release: nothing raises, and the result can be drawn and prepared."""
    pick = EngineSelection(EngineChoice("xyz", "int1", "f4", "~/mine.txt", -3), CPU, ())
    assert pick.backend in BACKENDS
    assert pick.choice == EngineChoice(pick.backend, "fp32")
    assert pick.problem == ""
    known = EngineSelection(EngineChoice("xyz", "int8"), CPU, GPUS)
    assert known.choice.precision == "int8"
    assert set(known.supports) == set(PRECISIONS)
    assert EngineSelection(EngineChoice("openvino", "int1"), CPU, ()).choice.precision in PRECISIONS


def test_more_gpus_than_there_are_becomes_one() -> None:
    assert EngineSelection(WANTED, CPU, GPUS[:2]).choice.gpus == 1
    assert EngineSelection(WANTED, CPU, GPUS[:2]).gpu_counts == (1, 2)


def test_what_does_not_run_here_is_not_calibrated() -> None:
    pick = EngineSelection(WANTED, CPU, ())
    assert pick.problem
    assert not pick.calibrates
    assert pick.gpu_counts == (1,)


def test_of_several_gpus_the_fullest_counts() -> None:
    assert tightest(GPUS).name == "cuda:0"
    assert tightest(GPUS).memory_available == 6 << 30


async def test_a_file_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    gone = EngineChoice("tensorrt-llm", "fp8", calibration=str(tmp_path / "gone.txt"))
    assert "gone.txt cannot be used. There is no such file." in await file_problem(gone)
    assert await file_problem(EngineChoice("openvino", "int8")) == ""

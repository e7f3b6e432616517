"""Bytes and energy of an answer, by formulas that are checked against a published figure."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.state.conversation.conversation import Turn
from app.state.settings.settings import TimingMode
from app.state.side.answer_cost import AnswerCost
from app.state.side.cost_counter import NO_COUNTER, ONLY_IN_TURN, TOO_SHORT, cost_of, count_cost
from app.state.side.side import Side
from engines.build.spec import EngineSpec
from engines.measure.energy import EnergyCounter
from engines.measure.timing import Timing
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.doubles.nvml import Gpu, Nvml

TIMING = Timing(tokens=50, ttft=0.1, tpot=0.01, decode_rate=100.0)


@pytest.fixture
def side(tiny: Path) -> Side:
    """A side whose engine would run on a GPU."""
    made = Side("left")
    made.checkpoint = read_checkpoint(tiny)
    made.spec = EngineSpec(str(tiny), "pytorch", "bf16", "cuda:0")
    return made


def turn(mode: TimingMode) -> Turn:
    return Turn("Hi", "Hello", 20, timing=TIMING, mode=mode.value)


def test_mbu_is_bytes_times_rate_by_bandwidth() -> None:
    """gpt-fast prints 1410.76 GB/s for 93.89 tok/s of 15.03 GB: 69 % of an A100's 2.04 TB/s."""
    cost = AnswerCost(93.89, round(15.026e9), None)
    assert cost.mbu(2.039e12) == pytest.approx(0.692, abs=0.001)
    assert cost.ceiling(2.039e12) == pytest.approx(135.7, abs=0.1)
    assert cost.mbu(None) is None
    assert AnswerCost(None, 10, None).mbu(1e9) is None


def test_bytes_are_counted_in_the_middle_of_the_answer(side: Side) -> None:
    short, long = turn(TimingMode.IN_TURN), turn(TimingMode.IN_TURN)
    long.prompt_tokens += 100
    first, second = (cost_of(side, one, None, alone=True) for one in (short, long))
    assert first
    assert second
    assert side.checkpoint
    assert second.bytes_per_token - first.bytes_per_token == side.checkpoint.kv_bytes(100, 2)


def test_an_answer_without_tokens_costs_nothing_that_could_be_told(side: Side) -> None:
    assert cost_of(side, Turn("Hi", timing=Timing()), None, alone=True) is None


def use(monkeypatch: pytest.MonkeyPatch, millijoules: int | None) -> Gpu:
    gpu = Gpu(millijoules=millijoules)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml((gpu,)))
    return gpu


async def test_energy_is_the_counter_s_difference_by_the_tokens(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = use(monkeypatch, 1_000)
    async with count_cost(side, turn(TimingMode.IN_TURN), EnergyCounter()):
        gpu.millijoules = 26_000
    assert side.record.cost
    assert side.record.cost.joules == pytest.approx(0.5)


async def test_an_engine_on_two_gpus_spends_on_both_and_each_reads_its_half(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert side.spec
    alone = cost_of(side, turn(TimingMode.IN_TURN), None, alone=True)
    side.spec = replace(side.spec, options={"tensor_parallel_size": "2"})
    both = Gpu(uuid="GPU-0", millijoules=0), Gpu(uuid="GPU-1", millijoules=0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(both))
    async with count_cost(side, turn(TimingMode.IN_TURN), EnergyCounter()):
        both[0].millijoules, both[1].millijoules = 20_000, 30_000
    assert side.record.cost
    assert alone
    assert side.record.cost.joules == pytest.approx(1.0)
    assert side.record.cost.bytes_per_token == alone.bytes_per_token // 2
    both[1].millijoules = None  # one that is not counted: half of it would be no figure
    async with count_cost(side, turn(TimingMode.IN_TURN), EnergyCounter()):
        both[0].millijoules = 40_000
    assert side.record.cost.no_joules == NO_COUNTER


async def test_together_on_its_own_gpu_an_answer_has_its_energy(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = use(monkeypatch, 1_000)
    answer = turn(TimingMode.TOGETHER)
    answer.own_gpu = True
    async with count_cost(side, answer, EnergyCounter()):
        gpu.millijoules = 26_000
    assert side.record.cost
    assert side.record.cost.joules == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("mode", "counter", "why"),
    [
        (TimingMode.TOGETHER, 1_000, ONLY_IN_TURN),
        (TimingMode.IN_TURN, None, NO_COUNTER),
        (TimingMode.IN_TURN, 1_000, TOO_SHORT),
    ],
)
async def test_why_there_is_no_figure(
    side: Side, monkeypatch: pytest.MonkeyPatch, mode: TimingMode, counter: int | None, why: str
) -> None:
    use(monkeypatch, counter)
    async with count_cost(side, turn(mode), EnergyCounter()):
        pass
    assert side.record.cost
    assert (side.record.cost.joules, side.record.cost.no_joules) == (None, why)


async def test_an_engine_on_the_cpu_asks_no_driver(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    assert side.spec
    side.spec = EngineSpec(side.spec.checkpoint, "pytorch", "fp32", "cpu")
    gpu = use(monkeypatch, 1_000)
    async with count_cost(side, turn(TimingMode.IN_TURN), EnergyCounter()):
        gpu.millijoules = 26_000
    assert side.record.cost
    assert side.record.cost.no_joules == NO_COUNTER

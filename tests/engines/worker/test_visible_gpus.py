"""A worker sees only the GPUs of its engine, so that an engine does not depend on their numbers."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from engines.build.spec import GPUS, EngineSpec
from engines.errors import EngineError
from engines.plan.hardware.hardware import gpus
from engines.plan.hardware.targets import target_of
from engines.worker import visible_gpus
from engines.worker.visible_gpus import VARIABLE, only_own_gpus
from tests.doubles.nvml import Gpu, Nvml

SPEC = EngineSpec("model", "compiled", "int8", "cuda:2")


@pytest.fixture(autouse=True)
def _three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has chosen nothing; its environment is restored."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(visible_gpus, "_chosen", [])
    capabilities = ((8, 0), (8, 9), (9, 0))
    found = tuple(Gpu(uuid=f"GPU-{n}", compute_capability=one) for n, one in enumerate(capabilities))
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(found))


def test_the_gpu_of_the_engine_becomes_the_first() -> None:
    assert only_own_gpus(SPEC) == replace(SPEC, device="cuda:0")
    assert os.environ[VARIABLE] == "GPU-2"
    assert [gpu.uuid for gpu in gpus()] == ["GPU-2"]
    assert target_of("cuda:0") == "sm90"
    assert only_own_gpus(SPEC).device == "cuda:0", "a second load of the same worker"
    with pytest.raises(EngineError, match="has used cuda:2, and cannot change to cuda:1"):
        only_own_gpus(replace(SPEC, device="cuda:1"))


def test_the_first_gpu_and_the_cpu_hide_nothing() -> None:
    for device in ("cpu", "cuda:0"):
        assert only_own_gpus(replace(SPEC, device=device)).device == device
    assert VARIABLE not in os.environ
    assert len(gpus()) == 3


def test_several_gpus_begin_at_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    split = replace(SPEC, device="cuda:1", options={GPUS: "2"})
    assert only_own_gpus(split).devices == ("cuda:0", "cuda:1")
    assert os.environ[VARIABLE] == "GPU-1,GPU-2"


def test_numbers_count_what_the_environment_already_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2,0")
    only_own_gpus(replace(SPEC, device="cuda:1"))
    assert os.environ[VARIABLE] == "GPU-0"


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(EngineError, match=r"no GPU cuda:3 here\. This machine has: cuda:0, cuda:1, cuda:2\."):
        only_own_gpus(replace(SPEC, options={GPUS: "2"}))
    assert VARIABLE not in os.environ

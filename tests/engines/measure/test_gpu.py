"""GPU samples from the NVML double: several GPUs, MIG, lost, old and throttled."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from engines.measure import gpu as module
from engines.measure.energy import EnergyCounter
from engines.measure.gpu import GpuSampler, throttle_reasons
from tests.doubles.nvml import Gpu, Memory, Nvml, ProcessInfo


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Iterator[GpuSampler]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    made = GpuSampler()
    yield made
    made.close()


def use(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)


def test_without_a_driver_there_is_no_gpu_and_the_library_is_searched_once(
    monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler
) -> None:
    library = Nvml((Gpu(),), missing=True)
    use(monkeypatch, library)
    assert sampler.sample() == ()
    library.missing = False
    assert sampler.sample() == ()


def test_without_the_package_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler) -> None:
    use(monkeypatch, None)
    assert sampler.sample() == ()


def test_figures_have_the_documented_units(monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler) -> None:
    use(monkeypatch, Nvml((Gpu(processes=(ProcessInfo(10, 7_000), ProcessInfo(11, None))),)))
    (found,) = sampler.sample()
    assert (found.index, found.name) == (0, "NVIDIA H200")
    assert (found.memory_used, found.memory_total) == (10**9, 150_000_000_000)
    assert found.utilisation == 42
    assert found.power == pytest.approx(123.4)
    assert found.power_limit == pytest.approx(700)
    assert (found.sm_clock, found.sm_clock_most) == (1755, 1980)
    assert (found.memory_clock, found.memory_clock_most) == (3201, 3201)
    assert found.slowed_by == ()
    assert found.device == "cuda:0"
    assert found.temperature == 51
    assert found.energy == pytest.approx(5000)
    assert found.process_bytes == {10: 7_000}
    assert found.memory_of(frozenset({10, 99})) == 7_000
    assert found.memory_of(frozenset({11})) is None


def test_unsupported_figures_are_none(monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler) -> None:
    bare = Gpu(
        memory=None,
        utilisation=None,
        milliwatts=None,
        limit_milliwatts=None,
        temperature=None,
        millijoules=None,
        sm_mhz=None,
        event_reasons=None,
    )
    use(monkeypatch, Nvml((bare, Gpu())))
    first, second = sampler.sample()
    assert (first.memory_used, first.utilisation, first.power, first.temperature, first.energy) == (None,) * 5
    assert (first.power_limit, first.sm_clock, first.slowed_by) == (None, None, None)
    assert second.power is not None


def test_mig_instances_are_sampled(monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler) -> None:
    part = Gpu("MIG 1g.18gb", "MIG-a", Memory(18, 17, 1), utilisation=None)
    use(monkeypatch, Nvml((Gpu(instances=(part, None), mig_enabled=True),)))
    (found,) = sampler.sample()
    assert (found.uuid, found.memory_total, found.utilisation) == ("MIG-a", 18, None)
    assert found.is_instance


def test_the_library_is_initialised_once_and_shut_down(
    monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler
) -> None:
    library = Nvml((Gpu(),))
    use(monkeypatch, library)
    for _ in range(5):
        sampler.sample()
    assert (library.initialisations, library.references) == (1, 1)
    sampler.close()
    assert library.references == 0


@pytest.mark.parametrize(("wait", "found"), [(0.0, 1), (60.0, 0)])
def test_a_reloaded_driver_is_opened_again_after_the_retry_time(
    monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler, wait: float, found: int
) -> None:
    library = Nvml((Gpu(),))
    use(monkeypatch, library)
    monkeypatch.setattr(module, "RETRY_SECONDS", wait)
    assert len(sampler.sample()) == 1
    library.unload()
    assert len(sampler.sample()) == found


def test_a_lost_gpu_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler) -> None:
    lost = Gpu(uuid="GPU-a")
    use(monkeypatch, Nvml((lost, Gpu(uuid="GPU-b"))))
    assert len(sampler.sample()) == 2
    lost.is_lost = True
    assert [found.uuid for found in sampler.sample()] == ["GPU-b"]


@pytest.mark.parametrize(
    ("reasons", "texts"),
    [
        (0, ()),
        (1, ()),  # idle
        (4, ("power limit",)),
        (1 | 4 | 32, ("power limit", "heat")),
        (8, ("heat or power supply",)),
        (8 | 64, ("heat",)),
        (8 | 128, ("power supply",)),
        (1 << 40, ()),  # an unknown reason of a newer driver
    ],
)
def test_throttle_reasons_as_text(reasons: int, texts: tuple[str, ...]) -> None:
    assert throttle_reasons(reasons) == texts


def test_the_reasons_of_an_old_driver_have_another_name(
    monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler
) -> None:
    use(monkeypatch, Nvml((Gpu(event_reasons=None, throttle_reasons=4),)))
    assert sampler.sample()[0].slowed_by == ("power limit",)


def test_gpus_have_the_device_names_of_engine_specs(
    monkeypatch: pytest.MonkeyPatch, sampler: GpuSampler
) -> None:
    """CUDA numbers visible GPUs only: of three GPUs the last is its first, and one is hidden."""
    use(monkeypatch, Nvml(tuple(Gpu(uuid=f"GPU-{letter}") for letter in "abc")))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert [(found.index, found.device) for found in sampler.sample()] == [
        (0, "cuda:1"),
        (1, ""),
        (2, "cuda:0"),
    ]


def test_energy_comes_from_the_counter_of_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    library = Nvml((Gpu(uuid="GPU-a", millijoules=7_000), Gpu(uuid="GPU-b", millijoules=None)))
    use(monkeypatch, library)
    counter = EnergyCounter()
    assert counter.joules("cuda:0") == pytest.approx(7)
    library.unload()
    assert counter.joules("cuda:0") == pytest.approx(7), "a reloaded driver is opened again"
    assert counter.joules("cuda:1") is None, "no counter"
    assert counter.joules("cuda:2") is None, "no such GPU"


def test_without_a_driver_there_is_no_energy_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Nvml(missing=True))
    assert EnergyCounter().joules("cuda:0") is None

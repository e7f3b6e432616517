"""Samples of real processes, and of GPUs through the double of NVML."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from engines.measure import telemetry as module
from engines.measure.telemetry import Telemetry
from tests.doubles.nvml import Gpu, Memory, Nvml, ProcessInfo

BUSY = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
PARENT = (
    "import subprocess, sys, time\n"
    "code = 'data = bytearray(80_000_000); import time; time.sleep(60)'\n"
    "child = subprocess.Popen([sys.executable, '-c', code])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def sampler() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.close()


def use(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)


# --- processes and the machine ----------------------------------------------------------------------------


def test_this_process_is_resident(sampler: Telemetry) -> None:
    found = sampler.sample_process(os.getpid())
    assert found is not None
    assert found.resident_bytes > 5_000_000
    assert found.cpu_percent is None


def test_a_busy_process_uses_a_core(sampler: Telemetry) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            sampler.sample_process(process.pid)
            time.sleep(0.5)
            found = sampler.sample_process(process.pid)
        finally:
            process.kill()
    assert found is not None
    assert found.cpu_percent is not None
    assert 5 < found.cpu_percent < 130  # other work may hold the cores


def test_children_are_counted_in(sampler: Telemetry) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            deadline = time.monotonic() + 30
            found = None
            while time.monotonic() < deadline and (found is None or found.resident_bytes < 80_000_000):
                time.sleep(0.05)
                found = sampler.sample_process(process.pid)
            assert found is not None
            assert found.resident_bytes > 80_000_000
            assert found.processes == 2
            assert sampler.members(process.pid) == {process.pid, child}
            os.kill(child, 9)
        finally:
            process.kill()


def test_what_a_child_spent_before_it_was_seen_is_no_spike(
    monkeypatch: pytest.MonkeyPatch, sampler: Telemetry
) -> None:
    monkeypatch.setattr(module, "TREE_SECONDS", 0.0)
    code = f"import subprocess, sys; input(); subprocess.run([sys.executable, '-c', {BUSY!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            assert sampler.sample_process(process.pid) is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(0.6)
            found = sampler.sample_process(process.pid)
            pids = sampler.members(process.pid)
        finally:
            for pid in sampler.members(process.pid) - {process.pid}:
                os.kill(pid, 9)
            process.kill()
    assert found is not None
    assert found.cpu_percent is not None
    assert len(pids) == 2
    assert found.cpu_percent < 40


def test_an_ended_process_is_none_also_as_a_zombie(sampler: Telemetry) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert sampler.sample_process(process.pid) is not None
    process.kill()
    deadline = time.monotonic() + 10
    while sampler.sample_process(process.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sampler.sample_process(process.pid) is None
    process.communicate()
    assert sampler.sample_process(process.pid) is None


@pytest.mark.parametrize("pid", [-1, 2**22 + 1, 2**40])
def test_process_ids_that_cannot_be_are_none(sampler: Telemetry, pid: int) -> None:
    assert sampler.sample_process(pid) is None


def test_the_machine_has_memory_and_from_the_second_sample_a_load(sampler: Telemetry) -> None:
    first = sampler.sample_machine()
    assert first.cpu_percent is None
    assert 0 < first.memory_used < first.memory_total
    time.sleep(0.05)
    second = sampler.sample_machine()
    assert second.cpu_percent is not None
    assert 0 <= second.cpu_percent <= 100


def test_a_sample_is_cheap(sampler: Telemetry) -> None:
    sampler.sample_process(os.getpid())
    rounds = 20
    started = time.perf_counter()
    for _ in range(rounds):
        sampler.sample_process(os.getpid())
        sampler.sample_machine()
        sampler.sample_devices()
    # Twice a second: 20 ms of each would be 4 % of a core. Some 0.2 ms are usual.
    assert (time.perf_counter() - started) / rounds < 0.02


# --- GPUs -------------------------------------------------------------------------------------------------


def test_without_a_driver_there_is_no_gpu_and_it_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, sampler: Telemetry
) -> None:
    library = Nvml((Gpu(),), missing=True)
    use(monkeypatch, library)
    assert sampler.sample_devices() == ()
    library.missing = False
    assert sampler.sample_devices() == ()


def test_without_the_package_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    use(monkeypatch, None)
    assert sampler.sample_devices() == ()


def test_figures_have_the_units_they_say(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    use(monkeypatch, Nvml((Gpu(processes=(ProcessInfo(10, 7_000), ProcessInfo(11, None))),)))
    (found,) = sampler.sample_devices()
    assert (found.index, found.name) == (0, "NVIDIA H200")
    assert (found.memory_used, found.memory_total) == (10**9, 150_000_000_000)
    assert found.utilisation == 42
    assert found.power == pytest.approx(123.4)
    assert found.temperature == 51
    assert found.energy == pytest.approx(5000)
    assert found.process_bytes == {10: 7_000}
    assert found.memory_of(frozenset({10, 99})) == 7_000
    assert found.memory_of(frozenset({11})) is None


def test_what_is_not_supported_is_none(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    bare = Gpu(memory=None, utilisation=None, milliwatts=None, temperature=None, millijoules=None)
    use(monkeypatch, Nvml((bare, Gpu())))
    first, second = sampler.sample_devices()
    assert (first.memory_used, first.utilisation, first.power, first.temperature, first.energy) == (None,) * 5
    assert second.power is not None


def test_instances_of_a_split_gpu_are_sampled(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    part = Gpu("MIG 1g.18gb", "MIG-a", Memory(18, 17, 1), utilisation=None)
    use(monkeypatch, Nvml((Gpu(instances=(part, None), mig_enabled=True),)))
    (found,) = sampler.sample_devices()
    assert (found.uuid, found.memory_total, found.utilisation) == ("MIG-a", 18, None)


def test_the_library_is_initialised_once_and_given_back(
    monkeypatch: pytest.MonkeyPatch, sampler: Telemetry
) -> None:
    library = Nvml((Gpu(),))
    use(monkeypatch, library)
    for _ in range(5):
        sampler.sample_devices()
    assert (library.initialisations, library.references) == (1, 1)
    sampler.close()
    assert library.references == 0


@pytest.mark.parametrize(("wait", "found"), [(0.0, 1), (60.0, 0)])
def test_a_reloaded_driver_is_found_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, sampler: Telemetry, wait: float, found: int
) -> None:
    library = Nvml((Gpu(),))
    use(monkeypatch, library)
    monkeypatch.setattr(module, "RETRY_SECONDS", wait)
    assert len(sampler.sample_devices()) == 1
    library.unload()
    assert len(sampler.sample_devices()) == found


def test_a_lost_gpu_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    lost = Gpu(uuid="GPU-a")
    use(monkeypatch, Nvml((lost, Gpu(uuid="GPU-b"))))
    assert len(sampler.sample_devices()) == 2
    lost.is_lost = True
    assert [found.uuid for found in sampler.sample_devices()] == ["GPU-b"]

"""Telemetry of real processes and of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from engines.measure import telemetry as module
from engines.measure.telemetry import Telemetry

BUSY = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
PARENT = (
    "import subprocess, sys, time\n"
    "code = 'data = bytearray(80_000_000); import time; time.sleep(60)'\n"
    "child = subprocess.Popen([sys.executable, '-c', code])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def sampler() -> Telemetry:
    return Telemetry()


def until_computed(pid: int, seconds: float) -> None:
    """Wait until a process has used so many seconds of CPU time, its imports included."""
    while sum(psutil.Process(pid).cpu_times()[:2]) < seconds:
        time.sleep(0.02)


def until_children(pid: int) -> list[psutil.Process]:
    """Wait until a process has children, and return them."""
    while not (children := psutil.Process(pid).children()):
        time.sleep(0.02)
    return children


def test_this_process_has_resident_memory(sampler: Telemetry) -> None:
    found = sampler.sample_process(os.getpid())
    assert found is not None
    assert found.resident_bytes > 5_000_000
    assert found.cpu_percent is None


def test_a_busy_process_uses_a_core(sampler: Telemetry) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            sampler.sample_process(process.pid)
            until_computed(process.pid, 0.3)
            found = sampler.sample_process(process.pid)
        finally:
            process.kill()
    assert found is not None
    assert found.cpu_percent is not None
    assert 5 < found.cpu_percent < 130  # other processes may use the cores


def test_children_are_included(sampler: Telemetry) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            deadline = time.monotonic() + 200
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


FORKED = (
    "import os, time\n"
    "data = bytearray(os.urandom(1000) * 200_000)\n"
    "if not os.fork(): time.sleep(60)\n"
    "print(flush=True)\n"
    "time.sleep(60)"
)


def test_memory_that_a_fork_shares_is_counted_once(sampler: Telemetry) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = sampler.sample_process(process.pid)
        tree = sampler.members(process.pid)
        for pid in tree:
            os.kill(pid, 9)
    assert found is not None
    assert found.processes == 2
    assert 200_000_000 < found.resident_bytes < 300_000_000


def test_cpu_time_of_a_new_child_gives_no_spike(monkeypatch: pytest.MonkeyPatch, sampler: Telemetry) -> None:
    monkeypatch.setattr(module, "TREE_SECONDS", 0.0)
    code = f"import subprocess, sys; input(); subprocess.run([sys.executable, '-c', {BUSY!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            assert sampler.sample_process(process.pid) is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            (child,) = until_children(process.pid)
            until_computed(child.pid, 0.5)
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


def test_an_ended_process_and_a_zombie_give_none(sampler: Telemetry) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert sampler.sample_process(process.pid) is not None
    process.kill()
    deadline = time.monotonic() + 200
    while sampler.sample_process(process.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sampler.sample_process(process.pid) is None
    process.communicate()
    assert sampler.sample_process(process.pid) is None


@pytest.mark.parametrize("pid", [-1, 2**22 + 1, 2**40])
def test_invalid_process_ids_give_none(sampler: Telemetry, pid: int) -> None:
    assert sampler.sample_process(pid) is None


def test_the_machine_has_memory_and_cpu_percent_from_the_second_sample(sampler: Telemetry) -> None:
    first = sampler.sample_machine()
    assert first.cpu_percent is None
    assert 0 < first.memory_used < first.memory_total
    second = sampler.sample_machine()
    assert second.cpu_percent is not None
    assert 0 <= second.cpu_percent <= 100

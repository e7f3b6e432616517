"""What other programs use of the processor: without this process and its children."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import psutil
import pytest

from engines.measure import other_programs
from engines.measure.other_programs import OtherPrograms, cpu_seconds


class Times(NamedTuple):
    """The system's CPU times."""

    user: float
    idle: float


class Machine:
    """Two cores whose clocks the test advances."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.busy, self.own = 100.0, 50.0, 20.0
        self.programs = OtherPrograms()
        monkeypatch.setattr(other_programs, "time", self)
        monkeypatch.setattr(psutil, "cpu_times", lambda: Times(self.busy, 2 * self.now - self.busy))
        monkeypatch.setattr(psutil, "cpu_count", lambda: 2)

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now

    def pass_time(self, seconds: float, own: float, others: float) -> None:
        """Advance the clocks, with `own` and `others` as numbers of busy cores, and take a reading."""
        self.now += seconds
        self.own += own * seconds
        self.busy += (own + others) * seconds
        self.programs.read(self.own)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of which one reading was taken."""
    made = Machine(monkeypatch)
    made.programs.read(made.own)
    return made


def test_own_work_does_not_count(machine: Machine) -> None:
    for _ in range(8):
        machine.pass_time(0.5, own=1.5, others=0.0)
    assert machine.programs.percent(100.0) == pytest.approx(0)


def test_the_share_of_all_cores_since_a_moment(machine: Machine) -> None:
    for _ in range(8):
        machine.pass_time(0.5, own=1.0, others=0.0)
    began = machine.now
    for _ in range(4):
        machine.pass_time(0.5, own=1.0, others=0.9)
    assert machine.programs.percent(began) == pytest.approx(45)
    assert machine.programs.percent(100.0) == pytest.approx(15)


def test_a_short_answer_is_judged_by_the_last_second(machine: Machine) -> None:
    for _ in range(4):
        machine.pass_time(0.5, own=0.0, others=2.0)
    assert machine.programs.percent(machine.now) == pytest.approx(100)


def test_nothing_is_known_before_two_readings(machine: Machine) -> None:
    assert OtherPrograms().percent(0) is None
    assert machine.programs.percent(0) is None


def test_cpu_seconds_of_a_child_that_has_ended() -> None:
    this = [psutil.Process()]
    before = cpu_seconds(this)
    subprocess.run([sys.executable, "-c", "for _ in range(10**7): pass"], check=True)
    assert cpu_seconds(this) - before > 0.05

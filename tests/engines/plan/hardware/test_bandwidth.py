"""The memory's bandwidth, measured for real over a small buffer."""

from __future__ import annotations

import subprocess
import sys

from engines.plan.hardware import bandwidth
from engines.plan.hardware.bandwidth import buffer_bytes, read_bandwidth


def test_the_buffer_is_far_below_what_is_free() -> None:
    assert 0 < buffer_bytes() <= bandwidth.MOST_BYTES


def test_some_threads_read_it_at_the_speed_of_a_memory() -> None:
    assert 1e8 < read_bandwidth(1 << 24, threads=2, passes=2) < 1e14


def test_the_command_prints_one_number() -> None:
    command = [sys.executable, "-m", "engines.plan.hardware.bandwidth"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    assert 1e8 < int(found.stdout) < 1e14

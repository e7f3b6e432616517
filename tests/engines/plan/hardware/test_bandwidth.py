"""Measure the memory bandwidth with a small buffer."""

from __future__ import annotations

import subprocess
import sys

from engines.plan.hardware import bandwidth
from engines.plan.hardware.bandwidth import buffer_bytes, read_bandwidth


def test_the_buffer_is_limited() -> None:
    assert 0 < buffer_bytes() <= bandwidth.MAX_READ_BYTES


def test_two_threads_read_at_a_plausible_bandwidth() -> None:
    assert 1e8 < read_bandwidth(1 << 24, threads=2, passes=2) < 1e14


def test_the_command_prints_one_number() -> None:
    command = [sys.executable, "-m", "engines.plan.hardware.bandwidth"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    assert 1e8 < int(found.stdout) < 1e14

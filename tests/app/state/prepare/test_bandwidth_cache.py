"""The file of measured bandwidths: one for each device, and nothing that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.state.prepare import bandwidth_cache as bandwidths
from app.state.prepare.bandwidth_cache import key, measure_bandwidth, read_bandwidth, read_bandwidths
from engines.plan.hardware.hardware import Device

CPU = Device("cpu", "cpu", "A processor", None, None, cores=4)
GPU = Device("cuda:0", "cuda", "NVIDIA H200", None, None)


def test_each_device_keeps_its_own(own_folders: Path) -> None:
    bandwidths.save_bandwidth(CPU, 40e9)
    bandwidths.save_bandwidth(GPU, 4.28e12)
    bandwidths.save_bandwidth(CPU, 41e9)
    assert read_bandwidths() == {key(CPU): 41e9, key(GPU): 4.28e12}
    fewer = Device("cpu", "cpu", "A processor", None, None, cores=2)
    assert read_bandwidth(fewer) is None, "fewer cores read more slowly"


async def test_a_gpu_that_is_not_there_is_no_bandwidth(own_folders: Path) -> None:
    """The measuring process fails, and nothing is remembered."""
    absent = Device("cuda:7", "cuda", "NVIDIA H200", None, None)
    with pytest.raises(OSError, match="ended with status"):
        await measure_bandwidth(absent)
    assert read_bandwidths() == {}


def test_a_bandwidth_that_could_not_be_saved_is_used_and_saved_with_the_next(own_folders: Path) -> None:
    file = bandwidths.cache_file()
    file.mkdir(parents=True)  # in the place of the file
    bandwidths.save_bandwidth(CPU, 40e9)
    assert read_bandwidth(CPU) == 40e9
    file.rmdir()
    bandwidths.save_bandwidth(GPU, 4.28e12)
    assert json.loads(file.read_text()) == {key(CPU): 40e9, key(GPU): 4.28e12}

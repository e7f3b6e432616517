"""The name of the machine in a saved turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.prepare.machine_name import machine_name
from engines.plan.hardware.hardware import Device

CPU = Device("cpu", "cpu", "AMD EPYC 9B14 96-Core Processor", None, None, cores=2)
GPU = Device("cuda:0", "cuda", "NVIDIA H100 80GB HBM3", None, None)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("AMD EPYC 9B14 96-Core Processor", "AMD EPYC 9B14, 2 cores"),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "Intel Xeon Platinum 8481C, 2 cores"),
        ("Apple M3 Max", "Apple M3 Max, 2 cores"),
        ("Processor", "Processor, 2 cores"),
    ],
)
def test_a_cpu(title: str, name: str) -> None:
    assert machine_name("cpu", [replace(CPU, title=title), GPU]) == name


def test_a_gpu_and_an_unknown_device() -> None:
    assert machine_name("cuda:0", [CPU, GPU]) == "NVIDIA H100 80GB HBM3"
    assert machine_name("cuda:1", [CPU, GPU]) == ""

"""Memory bandwidths of this machine's devices: measured once, and kept in a file next to the engines."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from app.state.settings import paths
from app.state.settings.number_file import add_number, read_numbers
from engines.plan.hardware.hardware import Device


def cache_file() -> Path:
    """Return the path of the file."""
    return paths.engine_store() / "bandwidth.json"


def read_bandwidths() -> dict[str, float]:
    """Return the bandwidth of every measured device in bytes per second, by `key`."""
    return read_numbers(cache_file())


def read_bandwidth(device: Device) -> float | None:
    """Return the measured bandwidth of a device in bytes per second; None where it was not measured."""
    return read_bandwidths().get(key(device))


async def measure_bandwidth(device: Device) -> float:
    """Measure the bandwidth in a separate process, save it, and return it in bytes per second.

    Raises:
        OSError: the measurement failed.
    """
    root = str(Path(__file__).parents[3])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engines.plan.hardware.bandwidth",
        device.name,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        stdin=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": root, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode or not output.strip().isdigit():
        raise OSError(f"its process ended with status {process.returncode}")
    found = float(output)
    await asyncio.to_thread(save_bandwidth, device, found)
    return found


def key(device: Device) -> str:
    """Return the name that a bandwidth is saved under: a CPU's also depends on the cores that may be used."""
    return device.title if device.cores is None else f"{device.title}, {device.cores} cores"


def save_bandwidth(device: Device, bandwidth: float) -> None:
    """Add a bandwidth to the file, see `add_number`."""
    add_number(cache_file(), key(device), bandwidth)

"""Bandwidths of this machine's memories: measured once, and kept in a file beside the engines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from app.state.settings import paths
from engines.plan.hardware.hardware import Device


def read_bandwidths() -> dict[str, float]:
    """Bytes per second by `key`, of every device that was measured here."""
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: float(rate) for name, rate in found.items() if isinstance(rate, (int, float)) and rate > 0}


def read_bandwidth(device: Device) -> float | None:
    """The bandwidth of this very device, as it was measured before; None where it was not."""
    return read_bandwidths().get(key(device))


async def measure_bandwidth(device: Device) -> float:
    """Measure it in a process of its own, and remember it.

    Raises:
        OSError: the measuring failed, in words.
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
    await asyncio.to_thread(_remember, device, found)
    return found


def key(device: Device) -> str:
    """Another processor, or other cores to use, have another bandwidth; a GPU is always used whole."""
    return device.title if device.cores is None else f"{device.title}, {device.cores} cores"


def _remember(device: Device, bandwidth: float) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(read_bandwidths() | {key(device): bandwidth}), "utf-8")
    temporary.replace(file)


def _file() -> Path:
    return paths.engine_store() / "bandwidth.json"

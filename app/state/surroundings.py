"""What estimates depend on beside the choice: free memory, the memory's bandwidth, builds of the past."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from app.state import paths
from engines.build.store import EngineStore, StoredEngine
from engines.plan.hardware import Device, devices


@dataclass(frozen=True)
class Surroundings:
    """One look at the machine."""

    device: Device
    bandwidth: float | None = None
    """Bytes per second that were measured here; None until somebody has."""
    builds: tuple[StoredEngine, ...] = ()
    """Engines of the store, newest first."""


def look_around(device: Device, store: EngineStore) -> Surroundings:
    """Look at the device, the store and the cached bandwidth: files, so never on the event loop."""
    now = next((one for one in devices() if one.name == device.name), device)
    try:
        builds = tuple(store.entries())
    except OSError:
        builds = ()
    return Surroundings(now, read_bandwidth(now), builds)


def read_bandwidth(device: Device) -> float | None:
    """The bandwidth of this very device, as it was measured before; None where it was not."""
    try:
        found = json.loads(_file().read_text("utf-8"))[_key(device)]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(found) if isinstance(found, (int, float)) and found > 0 else None


async def measure_bandwidth(device: Device) -> float:
    """Measure it in a process of its own, and remember it.

    Raises:
        OSError: the measuring failed, in words.
    """
    root = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engines.plan.bandwidth",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        stdin=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": root},
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


def _remember(device: Device, bandwidth: float) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({_key(device): bandwidth}), "utf-8")
    temporary.replace(file)


def _file() -> Path:
    return paths.engine_store() / "bandwidth.json"


def _key(device: Device) -> str:
    """Another processor, or other cores to use, have another bandwidth."""
    return f"{device.title}, {device.cores} cores"


def with_free(device: Device, held: int) -> Device:
    """The device as it will be once our own engines, which hold `held` bytes, have made room."""
    free = device.memory_available
    return device if free is None else replace(device, memory_available=free + held)

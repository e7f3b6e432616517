"""What estimates depend on apart from the choice: free memory, memory bandwidth, earlier builds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.state.prepare.bandwidth_cache import read_bandwidth
from app.state.prepare.engine_speeds import EngineSpeed, read_speeds
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from engines.plan.hardware.hardware import Device, devices


@dataclass(frozen=True)
class MachineState:
    """State of a device and of the store at one moment."""

    device: Device
    bandwidth: float | None = None
    """Measured bytes per second; None before the first measurement."""
    builds: tuple[StoredEngine, ...] = ()
    """Engines of the store, newest first."""
    speeds: tuple[EngineSpeed, ...] = ()
    """Of the engines that the device runs, if it is the CPU; see `read_speeds`."""


def probe_machine(device: Device, store: EngineStore) -> MachineState:
    """Return the state of the device, the store, and what was measured earlier. Blocking: reads files."""
    now = next((one for one in devices() if one.name == device.name), device)
    try:
        builds = tuple(store.engines())
    except OSError:
        builds = ()
    return MachineState(now, read_bandwidth(now), builds, read_speeds(now) if now.kind == "cpu" else ())


def tightest(devices: Sequence[Device]) -> Device:
    """Return the first of the devices that share the weights, with the least free memory of all of them."""
    free = [one.memory_available for one in devices if one.memory_available is not None]
    return replace(devices[0], memory_available=min(free, default=None))


def with_free(device: Device, held: int) -> Device:
    """Return the device as it is after the loaded engines, which hold `held` bytes, are closed."""
    free = device.memory_available
    return device if free is None else replace(device, memory_available=free + held)

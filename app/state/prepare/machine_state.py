"""What estimates depend on beside the choice: free memory, the memory's bandwidth, builds of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.state.prepare.bandwidth_cache import read_bandwidth
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from engines.plan.hardware.hardware import Device, devices


@dataclass(frozen=True)
class MachineState:
    """One look at the machine."""

    device: Device
    bandwidth: float | None = None
    """Bytes per second that were measured here; None until somebody has."""
    builds: tuple[StoredEngine, ...] = ()
    """Engines of the store, newest first."""


def probe_machine(device: Device, store: EngineStore) -> MachineState:
    """Look at the device, the store and the cached bandwidth: files, so never on the event loop."""
    now = next((one for one in devices() if one.name == device.name), device)
    try:
        builds = tuple(store.engines())
    except OSError:
        builds = ()
    return MachineState(now, read_bandwidth(now), builds)


def tightest(devices: Sequence[Device]) -> Device:
    """Of the devices that share the weights of an engine, the first, with no more free than any of them."""
    free = [one.memory_available for one in devices if one.memory_available is not None]
    return replace(devices[0], memory_available=min(free, default=None))


def with_free(device: Device, held: int) -> Device:
    """The device as it will be once our own engines, which hold `held` bytes, have made room."""
    free = device.memory_available
    return device if free is None else replace(device, memory_available=free + held)

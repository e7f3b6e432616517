"""The engine pickers of both sides, whose memory estimates depend on each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message

from app.interface import PlaygroundApp, playground
from app.state.prepare import bandwidth_cache, machine_state
from app.state.prepare.enter_plan import EnginePlan, History, connection_plan, engine_plan
from app.state.prepare.forecast import Forecast, Loaded, forecast
from app.state.prepare.load_times import read_load_times
from app.state.prepare.machine_state import MachineState
from app.state.settings.settings import EngineChoice
from app.state.side.phase import ANSWERING, OPENING, Phase
from app.state.side.side import Side
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.cost import speed_text
from app.widgets.prepare.engine_picker import EnginePicker
from engines.build.spec import DEQUANTISED
from engines.hub.cache_state import free_bytes
from engines.measure.other_programs import BUSY_PERCENT
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_folder
from engines.plan.hardware.hardware import Device

AGAIN_SECONDS = 10.0
"""Within this time after a refusal, a second request is measured in any case."""


class EnginePair(Horizontal):
    """Two engine pickers, with estimates that count both choices."""

    def __init__(self, left: EngineChoice, right: EngineChoice, device: Device) -> None:
        super().__init__(id="engines")
        self._choices = {"left": left, "right": right}
        self._device = device
        self._machine_states = {device.name: MachineState(device)}
        self._snapshot: Snapshot | None = None
        self._checkpoint: Checkpoint | None = None
        self._context_tokens: int | None = None
        self._sides = "both"
        self._forecasts: dict[str, Forecast | None] = {}
        self._load_times: dict[str, float] = {}
        self._free_disk: int | None = None
        self._refused = -AGAIN_SECONDS
        """When a measurement was refused, in monotonic seconds."""

    class Estimated(Message):
        """The estimates have changed."""

    @property
    def playground(self) -> PlaygroundApp:
        """Return the running app."""
        return playground(self)

    def compose(self) -> ComposeResult:
        """Yield one picker for each side."""
        for name, choice in self._choices.items():
            yield EnginePicker(name, choice, self._device, self.playground.gpus)

    def on_mount(self) -> None:
        """Follow the engines: the memory they hold counts as free, because preparing unloads them first."""
        self.playground.side_changed.subscribe(self, self.show_side)
        self.playground.snapshots.subscribe(self, self.store_snapshot)

    @work(exclusive=True, group="probe", exit_on_error=False)
    async def probe_devices(self) -> None:
        """Read free memory, measured bandwidth and past builds of every device, then update the estimates."""
        for device in dict.fromkeys((self._device, *self.playground.gpus)):
            self._machine_states[device.name] = await asyncio.to_thread(
                machine_state.probe_machine, device, self.playground.store
            )
        self._load_times = await asyncio.to_thread(read_load_times)
        with suppress(OSError):  # its size is only shown
            self._free_disk = await asyncio.to_thread(free_bytes, hub_cache_folder())
        self.show_estimates()

    def store_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot; the first one updates the estimates."""
        first, self._snapshot = self._snapshot is None, snapshot
        if first:
            self.show_estimates()

    def show_side(self, side: Side) -> None:
        """Probe again after an engine was loaded or ended, because free memory changed."""
        if side.phase in (Phase.READY, Phase.EMPTY, Phase.FAILED):
            self.probe_devices()

    @work(exclusive=True, group="bandwidth", exit_on_error=False)
    async def measure(self) -> None:
        """Measure the memory bandwidth of the chosen devices, then update the estimates.

        Refused while something else uses the memory; asked again within AGAIN_SECONDS, it is measured anyway.
        """
        selections = [picker.selection for picker in self.query(EnginePicker)]
        devices = {one.name: one for selection in selections for one in selection.devices}
        if (why := self._use_of(devices)) and time.monotonic() - self._refused > AGAIN_SECONDS:
            self._refused = time.monotonic()
            self.app.notify(f"{why} A measurement now would be too low. F5 again measures anyway.")
            return
        for device in devices.values():
            await self._measure(device)
        self.probe_devices()

    async def _measure(self, device: Device) -> None:
        self.app.notify(f"Measuring the memory bandwidth of {_named(device)} …", markup=False)
        try:
            bandwidth = await bandwidth_cache.measure_bandwidth(device)
        except OSError as error:
            message = f"The memory bandwidth of {_named(device)} cannot be measured: {error}."
            self.app.notify(message, severity="error", markup=False)
            return
        self.app.notify(f"Memory bandwidth of {_named(device)}: {speed_text(bandwidth)}.", markup=False)

    def _use_of(self, devices: Iterable[str]) -> str:
        """Return what uses the devices now; empty if nothing does."""
        if any(side.phase in ANSWERING | OPENING for side in self.playground.sides):
            return "An engine is answering or being prepared."
        sampler, now = self.playground.sampler, time.monotonic()
        percent = max((sampler.busy_percent(device, now) or 0.0 for device in devices), default=0.0)
        return f"Other programs use {percent:.0f} % of this machine." if percent >= BUSY_PERCENT else ""

    def show(self, checkpoint: Checkpoint | None, context: int | None, sides: str) -> None:
        """Show estimates for a checkpoint, a context in tokens, and the sides `both`, `left` or `right`."""
        self._checkpoint, self._context_tokens, self._sides = checkpoint, context, sides
        for picker in self.query(EnginePicker):
            picker.selection.checkpoint, picker.selection.context = checkpoint, context
        self.show_estimates()

    @on(EnginePicker.Chosen)
    def show_estimates(self) -> None:
        """Update the estimates of both sides; each counts the memory of the other."""
        alone = {name: self._forecast(name) for name in self._choices}
        for name, other in (("left", "right"), ("right", "left")):
            other_side_bytes = self._other_side_bytes(other, alone[other])
            shown = self._forecast(name, other_side_bytes) if other_side_bytes else alone[name]
            self._picker(name).show(shown, self._built(name))
            self._forecasts[name] = shown
        self.post_message(self.Estimated())

    def plans(self, names: Iterable[str], *, is_remote: bool) -> tuple[list[EnginePlan], int]:
        """Return what opening the engines of these sides takes, and the memory that running ones give back.

        Args:
            is_remote: whether the checkpoint has to be downloaded.
        """
        plans, held = [], 0
        for name in names:
            selection, forecast = self._picker(name).selection, self._forecasts.get(name)
            if selection.is_remote:
                plans.append(connection_plan(name, selection.server))
            if self._checkpoint is None or forecast is None:
                continue
            builds = self._machine_state(selection.devices[0]).builds
            history = History(builds, self._load_times, self._free_disk)
            loaded = self._loaded(name, selection.choice) is not None
            plans.append(
                engine_plan(
                    name,
                    selection.choice,
                    self._checkpoint,
                    forecast,
                    history,
                    is_remote=is_remote,
                    is_loaded=loaded,
                )
            )
            held += sum(self._held(name, device) for device in selection.devices)
        return plans, held

    def _forecast(self, name: str, other_side_bytes: int = 0) -> Forecast | None:
        """Return the forecast for a side's choice; None if checkpoint, context or choice do not allow one."""
        selection = self._picker(name).selection
        if self._checkpoint is None or self._context_tokens is None:
            return None
        if selection.is_remote or selection.problem:
            return None
        free = machine_state.tightest([self._with_free(device) for device in selection.devices])
        machine = replace(self._machine_state(selection.devices[0]), device=free)
        loaded = self._loaded(name, selection.choice)
        return forecast(
            selection.choice, self._checkpoint, self._context_tokens, machine, loaded, other_side_bytes
        )

    def _built(self, name: str) -> set[str]:
        """Return the precisions of which the store has an engine of the chosen checkpoint and backend."""
        selection, checkpoint = self._picker(name).selection, self._checkpoint
        builds = self._machine_state(selection.devices[0]).builds
        wanted = (str(checkpoint.folder) if checkpoint else "", selection.backend)
        return {one.spec.precision for one in builds if (one.spec.checkpoint, one.spec.backend) == wanted}

    def _machine_state(self, device: Device) -> MachineState:
        return self._machine_states.get(device.name) or MachineState(device)

    def _with_free(self, device: Device) -> Device:
        """Return `device` with its free memory once both sides' engines are unloaded."""
        held = sum(self._held(side, device) for side in self._choices)
        return machine_state.with_free(self._machine_state(device).device, held)

    def _other_side_bytes(self, other: str, expected: Forecast | None) -> int:
        """Return the bytes of the side `other`: expected if it is prepared too, else of its loaded engine."""
        mine, theirs = (self._picker(one).selection.devices for one in ("left", "right"))
        shared = [device for device in mine if device in theirs]
        if not shared:
            return 0
        if self._sides == "both":
            return expected.estimate.peak if expected else 0
        return max(self._held(other, device) for device in shared) if self._sides != other else 0

    def _loaded(self, name: str, choice: EngineChoice) -> Loaded | None:
        """Return a side's loaded engine if it is exactly the chosen one, else None."""
        side = self._side(name)
        spec = side.spec
        if side.ready is None or spec is None or side.checkpoint != self._checkpoint:
            return None
        if choice.gpus > 1:  # its memory is the sum over GPUs, the estimate is for each
            return None
        options = {name: value for name, value in spec.options.items() if name != DEQUANTISED}
        loaded = (spec.backend, spec.precision, spec.kv_precision, options, spec.context, spec.device)
        device = self._picker(name).selection.devices[0].name
        chosen = (
            choice.backend,
            choice.precision,
            choice.kv_precision,
            choice.options,
            self._context_tokens,
            device,
        )
        if loaded != chosen:
            return None
        snapshot = self._side_snapshot(name)
        return Loaded(side.memory, snapshot.counted if snapshot else None)

    def _held(self, name: str, device: Device) -> int:
        """Return the bytes of `device` that a side's engine holds now."""
        snapshot = self._side_snapshot(name)
        return snapshot.held_on(device.name) if snapshot else 0

    def _side(self, name: str) -> Side:
        return self.playground.left if name == "left" else self.playground.right

    def _side_snapshot(self, name: str) -> SideSnapshot | None:
        if self._snapshot is None:
            return None
        return self._snapshot.left if name == "left" else self._snapshot.right

    def _picker(self, name: str) -> EnginePicker:
        return self.query_one(f"#engine-{name}", EnginePicker)


def _named(device: Device) -> str:
    return "the machine's memory" if device.kind == "cpu" else f"{device.name}, {device.title}"

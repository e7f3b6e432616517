"""The engine pickers of both sides, whose memory estimates depend on each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal

from app.interface import PlaygroundApp, playground
from app.state.prepare import bandwidth_cache, machine_state
from app.state.prepare.forecast import Forecast, Loaded, forecast
from app.state.prepare.machine_state import MachineState
from app.state.settings.settings import EngineChoice
from app.state.side.phase import ANSWERING, Phase
from app.state.side.side import Side
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.cost import speed_text
from app.widgets.prepare.engine_picker import EnginePicker
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.hardware.hardware import Device


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
        """Measure the memory bandwidth of the chosen devices, then update the estimates."""
        selections = [picker.selection for picker in self.query(EnginePicker)]
        for device in {selection.device.name: selection.device for selection in selections}.values():
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
        busy = any(side.phase in ANSWERING for side in self.playground.sides)
        note = " An engine was generating. Measure again while none is." if busy else ""
        self.app.notify(f"Memory bandwidth of {_named(device)}: {speed_text(bandwidth)}.{note}", markup=False)

    def show(self, checkpoint: Checkpoint | None, context: int | None, sides: str) -> None:
        """Show estimates for a checkpoint, a context in tokens, and the sides `both`, `left` or `right`."""
        self._checkpoint, self._context_tokens, self._sides = checkpoint, context, sides
        for picker in self.query(EnginePicker):
            picker.selection.checkpoint = checkpoint
        self.show_estimates()

    @on(EnginePicker.Chosen)
    def show_estimates(self) -> None:
        """Update the estimates of both sides; each counts the memory of the other."""
        alone = {name: self._forecast(name) for name in self._choices}
        for name, other in (("left", "right"), ("right", "left")):
            other_side_bytes = self._other_side_bytes(other, alone[other])
            shown = self._forecast(name, other_side_bytes) if other_side_bytes else alone[name]
            self._picker(name).show(shown)

    def _forecast(self, name: str, other_side_bytes: int = 0) -> Forecast | None:
        """Return the forecast for a side's choice; None if checkpoint, context or choice do not allow one."""
        selection = self._picker(name).selection
        if self._checkpoint is None or self._context_tokens is None or selection.problem:
            return None
        free = machine_state.tightest([self._with_free(device) for device in selection.devices])
        machine = replace(self._machine_state(selection.device), device=free)
        loaded = self._loaded(name, selection.choice)
        return forecast(
            selection.choice, self._checkpoint, self._context_tokens, machine, loaded, other_side_bytes
        )

    def _machine_state(self, device: Device) -> MachineState:
        return self._machine_states.get(device.name) or MachineState(device)

    def _with_free(self, device: Device) -> Device:
        """Return `device` with its free memory once both sides' engines are unloaded."""
        held = sum(self._held(side, device) for side in self._choices)
        return machine_state.with_free(self._machine_state(device).device, held)

    def _other_side_bytes(self, other: str, expected: Forecast | None) -> int:
        """Return the bytes of the side `other`: expected if it is prepared too, else of its loaded engine."""
        device = self._picker(other).selection.device
        if any(picker.selection.device.name != device.name for picker in self.query(EnginePicker)):
            return 0
        if self._sides == "both":
            return expected.estimate.peak if expected else 0
        return self._held(other, device) if self._sides != other else 0

    def _loaded(self, name: str, choice: EngineChoice) -> Loaded | None:
        """Return a side's loaded engine if it is exactly the chosen one, else None."""
        side = self._side(name)
        spec = side.spec
        if side.ready is None or spec is None or side.checkpoint != self._checkpoint:
            return None
        if choice.gpus > 1:  # its memory is the sum over GPUs, the estimate is for each
            return None
        loaded = (spec.backend, spec.precision, spec.kv_precision, spec.options, spec.context)
        chosen = (choice.backend, choice.precision, choice.kv_precision, choice.options, self._context_tokens)
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

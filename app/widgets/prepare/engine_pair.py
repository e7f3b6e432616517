"""The engines of both sides: they share a machine, so what one takes is missing to the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal

from app.state.prepare import bandwidth_cache as bandwidths
from app.state.prepare import machine_state as surroundings
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

if TYPE_CHECKING:
    from app.playground import Playground


class EnginePair(Horizontal):
    """Two pickers, and what their choices will take together."""

    app: Playground

    def __init__(self, left: EngineChoice, right: EngineChoice, device: Device) -> None:
        super().__init__(id="engines")
        self._choices = {"left": left, "right": right}
        self._device = device
        self._around = {device.name: MachineState(device)}
        self._snapshot: Snapshot | None = None
        self._checkpoint: Checkpoint | None = None
        self._tokens: int | None = None
        self._sides = "both"

    def compose(self) -> ComposeResult:
        """One picker a side."""
        for name, choice in self._choices.items():
            yield EnginePicker(name, choice, self._device, self.app.gpus)

    def on_mount(self) -> None:
        """Follow the engines: what they hold is free once they make room."""
        self.app.side_changed.subscribe(self, self.show_side)
        self.app.snapshots.subscribe(self, self.keep_snapshot)

    @work(exclusive=True, group="look", exit_on_error=False)
    async def look_around(self) -> None:
        """Free memory, measured bandwidth, builds of the past, of every device."""
        for device in dict.fromkeys((self._device, *self.app.gpus)):
            look = surroundings.probe_machine
            self._around[device.name] = await asyncio.to_thread(look, device, self.app.store)
        self.show_estimates()

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """What the engines hold; shown from the first one on, and when a side changes."""
        first, self._snapshot = self._snapshot is None, snapshot
        if first:
            self.show_estimates()

    def show_side(self, side: Side) -> None:
        """An engine was loaded or has ended: free memory is another."""
        if side.phase in (Phase.READY, Phase.EMPTY, Phase.FAILED):
            self.look_around()

    @work(exclusive=True, group="bandwidth", exit_on_error=False)
    async def measure(self) -> None:
        """Measure the bandwidth of the chosen devices, each in a process of its own; the ceilings follow."""
        chosen = {picker.device.name: picker.device for picker in self.query(EnginePicker)}
        for device in chosen.values():
            await self._measure(device)
        self.look_around()

    async def _measure(self, device: Device) -> None:
        self.app.notify(f"Measuring the memory bandwidth of {_named(device)} …", markup=False)
        try:
            found = await bandwidths.measure_bandwidth(device)
        except OSError as error:
            words = f"The bandwidth of {_named(device)} cannot be measured: {error}."
            self.app.notify(words, severity="error", markup=False)
            return
        busy = any(side.phase in ANSWERING for side in self.app.sides)
        note = " An engine was answering: measure again without it." if busy else ""
        self.app.notify(f"Memory bandwidth of {_named(device)}: {speed_text(found)}.{note}", markup=False)

    def show(self, checkpoint: Checkpoint | None, context: int | None, sides: str) -> None:
        """Estimate for this checkpoint, context and `both`, `left` or `right` from now on."""
        self._checkpoint, self._tokens, self._sides = checkpoint, context, sides
        for picker in self.query(EnginePicker):
            picker.look_at(checkpoint)
        self.show_estimates()

    @on(EnginePicker.Chosen)
    def show_estimates(self) -> None:
        """Both sides: what is chosen on one counts on the other."""
        alone = {name: self._outlook(name) for name in self._choices}
        for name, other in (("left", "right"), ("right", "left")):
            beside = self._beside(other, alone[other])
            found = self._outlook(name, beside) if beside else alone[name]
            self._picker(name).show(found)

    def _outlook(self, name: str, beside: int = 0) -> Forecast | None:
        """What the choice of one side will take; None while there is nothing to estimate from."""
        picker = self._picker(name)
        if self._checkpoint is None or self._tokens is None or picker.problem:
            return None
        around = self._around.get(picker.device.name) or MachineState(picker.device)
        free = surroundings.tightest([self._with_free(device) for device in picker.devices])
        loaded = self._loaded(name, picker.choice)
        around = replace(around, device=free)
        return forecast(picker.choice, self._checkpoint, self._tokens, around, loaded, beside)

    def _with_free(self, device: Device) -> Device:
        """As it will be once our own engines have made room."""
        held = sum(self._held(side, device) for side in self._choices)
        around = self._around.get(device.name) or MachineState(device)
        return surroundings.with_free(around.device, held)

    def _beside(self, other: str, found: Forecast | None) -> int:
        """Bytes of the other side: of what is chosen there, or of what stays loaded there."""
        mine, its = self._picker("left").device, self._picker("right").device
        if mine.name != its.name:
            return 0
        if self._sides == "both":
            return found.estimate.peak if found else 0
        return self._held(other, mine) if self._sides != other else 0

    def _loaded(self, name: str, choice: EngineChoice) -> Loaded | None:
        """The engine of a side, where it is exactly what is chosen here."""
        side = self._side(name)
        spec = side.spec
        if side.ready is None or spec is None or side.checkpoint != self._checkpoint:
            return None
        if choice.gpus > 1:  # what is loaded is counted on all of them together
            return None
        found = (spec.backend, spec.precision, spec.kv_precision, spec.options, spec.context)
        wanted = (choice.backend, choice.precision, choice.kv_precision, choice.options, self._tokens)
        if found != wanted:
            return None
        seen = self._seen(name)
        return Loaded(side.memory, seen.counted if seen else None)

    def _held(self, name: str, device: Device) -> int:
        """Bytes that a side's engine holds of a device now."""
        side = self._seen(name)
        return side.held_on(device.name) if side else 0

    def _side(self, name: str) -> Side:
        return self.app.left if name == "left" else self.app.right

    def _seen(self, name: str) -> SideSnapshot | None:
        if self._snapshot is None:
            return None
        return self._snapshot.left if name == "left" else self._snapshot.right

    def _picker(self, name: str) -> EnginePicker:
        return self.query_one(f"#engine-{name}", EnginePicker)


def _named(device: Device) -> str:
    return "the machine's memory" if device.kind == "cpu" else f"{device.name}, {device.title}"

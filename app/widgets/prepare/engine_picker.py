"""Choose backend, precision and options of one side, with the estimate or why a choice is unavailable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import OptionList, Select, Static

from app.state.prepare.engine_selection import EngineSelection
from app.state.prepare.engine_titles import file_name
from app.state.prepare.forecast import Forecast
from app.state.settings.settings import EngineChoice, Server
from app.terminal_text import displayable
from app.units import bytes_text
from app.widgets.panels.drawing import MUTED
from app.widgets.prepare.estimate_card import EstimateCard
from app.widgets.prepare.option_row import OptionRow
from app.widgets.prepare.precision_list import PrecisionList
from engines.backends.registry import BACKENDS
from engines.build.server import REMOTE
from engines.plan.calibration import WITHOUT
from engines.plan.estimate.estimate import estimate_weight_bytes
from engines.plan.gguf_formats import precision_of
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import AUTO, kv_choices
from engines.plan.precision import default_precision


class ServerLine(Static):
    """The server that a side uses; a click chooses another one, as the key S does."""


class EnginePicker(Vertical):
    """The controls for one side's engine, which edit its `EngineSelection`."""

    HELP = """\
# Precision

How weights are stored. ● native, ◐ partial (stored in this format, computed in another), ○ unavailable;
the lines below give the reason, **H** shows the unavailable ones. **F12** shows all backends in one table,
with sources.

**KV** is the precision of the KV cache; *auto* is the backend's default.

**Calibration**, for TensorRT-LLM's quantised precisions: the text that is run through the model to find the
range of its activations. **C** chooses a file, which should resemble the prompts you will send. **GPU**:
where there are several, each side has its own, so that timing *together* is fair too. **GPUs**: the number of
GPUs over which the weights are split (tensor parallel); the figures below are then per GPU.

The estimate, before anything is built: the **peak** of the process against free memory, with both sides
counted; its **weights**, its **KV cache** at the chosen context and **other** memory. *Tight* means that less
memory is left than the error of the estimate, 20 %. Once this engine is loaded, its measured memory is shown
next to the estimate.

**decode** is an upper bound: memory bandwidth / bytes read per token with a full context. **F5** measures the
bandwidth once. A model that fits in the processor's cache, as the demo does, can exceed it.
**fastest here** is the fastest 8-bit engine of this CPU, once `trt-playground doctor --measure` was run.
**build** is the host memory of the build, and its time by earlier builds on this machine.
"""

    @dataclass
    class Chosen(Message):
        """The selection changed: backend, precision, KV precision or an option."""

    @dataclass
    class CalibrationRequested(Message):
        """The user wants to choose a calibration text."""

        picker: EnginePicker

    @dataclass
    class ServerRequested(Message):
        """The user wants to choose a server for this side."""

        picker: EnginePicker

    def __init__(self, name: str, choice: EngineChoice, device: Device, gpus: Sequence[Device] = ()) -> None:
        """Create the picker of a side.

        Args:
            name: `left` or `right`.
            choice: What is selected at first.
            device: The CPU.
            gpus: In the driver's order.
        """
        super().__init__(id=f"engine-{name}", classes="engine-picker")
        self.selection = EngineSelection(choice, device, gpus, name)
        self.border_title = name.capitalize()
        self._built: Collection[str] = ()
        self._selected = (self.selection.backend, self.selection.precision)
        """Backend and precision for which the selects are filled."""

    def compose(self) -> ComposeResult:
        """Yield backend and KV cache, options, precisions and the estimate."""
        selection = self.selection
        backends = [(f"{entry.title}{' …' * entry.remote}", name) for name, entry in BACKENDS.items()]
        with Horizontal(classes="picker-row"):
            yield Select(
                backends, value=selection.backend, allow_blank=False, classes="backend", compact=True
            )
            yield Select(
                _kv_options(selection),
                value=selection.kv_precision,
                allow_blank=False,
                classes="kv",
                compact=True,
            )
        yield ServerLine(classes="server-line", markup=False)
        yield OptionRow(selection.gpu_counts, selection.gpus)
        yield PrecisionList(classes="precisions")
        yield EstimateCard()

    def on_mount(self) -> None:
        """Fill the list of precisions."""
        self.show(None)

    def show(self, forecast: Forecast | None, built: Collection[str] = ()) -> None:
        """Show the available choices and the forecast; None if there is nothing to estimate from.

        Args:
            built: precisions of which the store has an engine with this backend and checkpoint.
        """
        self._built = built
        self._show_server()
        if self.selection.is_remote:
            return
        self._show_selects()
        self._show_precisions()
        self._show_options()
        selection, support = self.selection, self.selection.support
        description = precision_of(selection.precision).description
        self.query_one(EstimateCard).show(forecast, support, description)

    @on(Select.Changed, ".backend")
    def backend_chosen(self, event: Select.Changed) -> None:
        """Select a backend, and its default precision if it does not support the selected one."""
        event.stop()
        selection = self.selection
        if isinstance(event.value, str) and event.value != selection.backend:
            selection.backend = event.value
            if selection.is_remote:
                self.post_message(self.ServerRequested(self))
            if selection.support.state == "unavailable":
                selection.precision = default_precision(selection.backend, selection.device)
            self._show_precisions()
            self._changed()

    @on(Select.Changed, ".kv")
    def kv_chosen(self, event: Select.Changed) -> None:
        """Select the precision of the KV cache."""
        event.stop()
        if isinstance(event.value, str) and event.value != self.selection.kv_precision:
            self.selection.wanted_kv = event.value
            self._changed()

    @on(OptionList.OptionHighlighted, ".precisions")
    def precision_chosen(self, event: OptionList.OptionHighlighted) -> None:
        """Select the highlighted precision."""
        event.stop()
        if event.option_id and event.option_id != self.selection.precision:
            self.selection.precision = event.option_id
            self._changed()

    @on(OptionRow.GpusChosen)
    def gpus_chosen(self, event: OptionRow.GpusChosen) -> None:
        """Select the number of GPUs."""
        event.stop()
        if event.count != self.selection.gpus:
            self.selection.wanted_gpus = event.count
            self._changed()

    @on(OptionRow.DeviceChosen)
    def device_chosen(self, event: OptionRow.DeviceChosen) -> None:
        """Select the GPU."""
        event.stop()
        if event.device != self.selection.devices[0].name:
            self.selection.wanted_device = event.device
            self._changed()

    @on(PrecisionList.CalibrationRequested)
    def request_calibration(self, event: PrecisionList.CalibrationRequested) -> None:
        """Post `CalibrationRequested`, if the precision is calibrated."""
        event.stop()
        if self.selection.calibrates:
            self.post_message(self.CalibrationRequested(self))

    def set_calibration(self, file: str) -> None:
        """Select a calibration text; empty for none of the user."""
        self.selection.wanted_calibration = file
        self._changed()

    def set_server(self, server: Server) -> None:
        """Select the engine of a server."""
        self.selection.backend, self.selection.server = REMOTE, server
        with self.prevent(Select.Changed):
            self.query_one(".backend", Select).value = REMOTE
        self._show_server()
        self._changed()

    def on_click(self, event: Click) -> None:
        """Ask for another server where its line was clicked."""
        if isinstance(event.widget, ServerLine):
            self.post_message(self.ServerRequested(self))

    def _show_server(self) -> None:
        """Show the server instead of what is chosen for an engine on this machine."""
        remote = self.selection.is_remote
        self.set_class(remote, "-remote")
        if remote:
            self.query_one(ServerLine).update(server_text(self.selection.server))

    def _changed(self) -> None:
        self._show_selects()
        self._show_options()
        self.post_message(self.Chosen())

    def _show_selects(self) -> None:
        """Show backend and KV precision; both change with a checkpoint that only one backend reads."""
        selection, shown = self.selection, (self.selection.backend, self.selection.precision)
        if self._selected == shown and self.query_one(".kv", Select).value == selection.kv_precision:
            return
        self._selected = shown
        kv = self.query_one(".kv", Select)
        with self.prevent(Select.Changed):
            self.query_one(".backend", Select).value = selection.backend
            kv.set_options(_kv_options(selection))
            kv.value = selection.kv_precision
            # An equal value has another label with another backend.
            kv.mutate_reactive(Select.value)  # type: ignore[misc]

    def _show_options(self) -> None:
        selection = self.selection
        offered = [gpu.name for gpu in selection.offered_gpus]
        self.query_one(OptionRow).show_devices(offered, selection.devices[0].name)
        self.query_one(OptionRow).show(
            selection.calibrates, _calibration(selection), selection.gpu_counts, selection.gpus
        )
        self.query_one(PrecisionList).show_calibrates(selection.calibrates)

    def _show_precisions(self) -> None:
        selection, checkpoint = self.selection, self.selection.checkpoint
        notes = {}
        for name in selection.offered if checkpoint else ():
            assert checkpoint
            size = bytes_text(estimate_weight_bytes(checkpoint, name))
            notes[name] = f"{size:>9}{'  built' if name in self._built else ''}"
        self.query_one(PrecisionList).show(selection.supports, selection.precision, notes)


def server_text(server: Server) -> Content:
    """Return address, model and source of the key of a server, one in each line."""
    rows = (("Address", server.address or "none yet: press S"), ("Model", server.model), ("Key", server.key))
    return Content("\n").join(
        Content.assemble((f"{name:<9}", MUTED), displayable(value)) for name, value in rows if value
    )


def _calibration(selection: EngineSelection) -> str:
    """Return what the weights are calibrated with."""
    file = selection.choice.calibration
    if file == WITHOUT:
        return "none, each weight rounded to nearest"
    return file_name(file) if file else BACKENDS[selection.backend].without_text


def _kv_options(selection: EngineSelection) -> list[tuple[str, str]]:
    """Return (label, value) of the backend's default KV precision and of the others that it offers."""
    names = kv_choices(selection.backend, selection.precision)
    others = names if len(names) > 1 else ()
    return [(f"KV auto: {names[0]}", AUTO), *((f"KV {name}", name) for name in others)]

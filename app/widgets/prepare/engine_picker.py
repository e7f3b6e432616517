"""Choose backend and precision of one side, with its estimate and why a precision is unavailable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import OptionList, Select

from app.state.prepare.engine_selection import EngineSelection
from app.state.prepare.forecast import Forecast
from app.state.settings.settings import EngineChoice
from app.widgets.prepare.estimate_card import EstimateCard
from app.widgets.prepare.option_row import OptionRow
from app.widgets.prepare.precision_list import PrecisionList
from engines.backends.registry import BACKENDS
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import AUTO, kv_choices
from engines.plan.precision import PRECISIONS, default_precision, rule


class EnginePicker(EngineSelection, Vertical):
    """A backend, a precision, how keys and values are stored, and the options of engines that have some."""

    HELP = """\
# Precision

How weights are stored. ● native, ◐ partial (stored in this format, computed in another), ○ unavailable; the
lines below say why, and from where that is known. **F12** shows all backends in one table.

**KV** is how keys and values are stored; *auto* is the backend's own choice.

**Calibration**, of TensorRT-LLM's quantised precisions: the text by which the model shows what values occur,
so that scales fit them. **C** takes a file of yours, which should resemble what will be asked. **GPUs**: over
how many the weights are split (tensor parallel); the figures below are then of each GPU.

Before anything is built: the **peak** of the process against what is free, with both sides counted; its
**weights**, its **KV cache** at the chosen context and all **other** memory. *Tight* means that less is left
than the estimate may be off: 20 %. Once this very engine is loaded, what it takes stands beside it.

**decode** is a ceiling: memory bandwidth / bytes read for one token with a full context. **F5** measures the
bandwidth, once. A model that fits the processor's cache, as the demo does, may be faster than its memory.
**build** is the host memory that it needs, and its time as earlier builds on this machine suggest.
"""

    @dataclass
    class Chosen(Message):
        """Another backend, precision, way to store keys and values, or option was chosen."""

    def __init__(self, name: str, choice: EngineChoice, device: Device, gpus: Sequence[Device] = ()) -> None:
        Vertical.__init__(self, id=f"engine-{name}", classes="engine-picker")
        EngineSelection.__init__(self, choice, device, gpus)
        self.border_title = name.capitalize()

    def compose(self) -> ComposeResult:
        """Backend and KV cache, options, precisions, the estimate."""
        backends = [(entry.title, name) for name, entry in BACKENDS.items()]
        with Horizontal(classes="picker-row"):
            yield Select(backends, value=self.backend, allow_blank=False, classes="backend", compact=True)
            yield Select(
                self._kv_options(), value=self.kv_precision, allow_blank=False, classes="kv", compact=True
            )
        yield OptionRow(self.gpu_counts, self.gpus)
        yield PrecisionList(classes="precisions")
        yield EstimateCard()

    def on_mount(self) -> None:
        """Fill the list."""
        self.show(None)

    def look_at(self, checkpoint: Checkpoint | None) -> None:
        """Offer what goes with this checkpoint; None for one that is not on this disk."""
        self.checkpoint = checkpoint

    def show(self, outlook: Forecast | None) -> None:
        """Show what can be chosen, and what the choice will take; None while nothing can be estimated."""
        self._list()
        self._show_options()
        row = rule(self.backend, self.precision, self.device)
        description = PRECISIONS[self.precision].description
        found = self.support
        source = row.source if row and row.support == found else ""  # what a checkpoint forbids has another
        self.query_one(EstimateCard).show(outlook, found, description, source)

    @on(Select.Changed, ".backend")
    def backend_chosen(self, event: Select.Changed) -> None:
        """Another backend has other precisions."""
        event.stop()
        if isinstance(event.value, str) and event.value != self.backend:
            self.backend = event.value
            if self.support.state == "unavailable":
                self.precision = default_precision(self.backend, self.device)
            self._list()
            self._changed()

    @on(Select.Changed, ".kv")
    def kv_chosen(self, event: Select.Changed) -> None:
        """Keys and values are stored another way."""
        event.stop()
        if isinstance(event.value, str) and event.value != self.kv_precision:
            self.wanted_kv = event.value
            self._changed()

    @on(OptionList.OptionHighlighted, ".precisions")
    def precision_chosen(self, event: OptionList.OptionHighlighted) -> None:
        """The highlighted precision is the chosen one."""
        event.stop()
        if event.option_id and event.option_id != self.precision:
            self.precision = event.option_id
            self._changed()

    @on(OptionRow.GpusChosen)
    def gpus_chosen(self, event: OptionRow.GpusChosen) -> None:
        """The weights are split otherwise."""
        event.stop()
        if event.count != self.gpus:
            self.wanted_gpus = event.count
            self._changed()

    @on(PrecisionList.Calibrate)
    def choose_calibration(self) -> None:
        """Ask for another text."""
        if self.calibrates:
            from app.screens.calibration import CalibrationScreen

            title = f"{BACKENDS[self.backend].title} {self.precision}"
            self.app.push_screen(CalibrationScreen(title, self.wanted_calibration), self._calibrate)

    def _calibrate(self, file: str | None) -> None:
        if file is not None:
            self.wanted_calibration = file
            self._changed()

    def _changed(self) -> None:
        kv = self.query_one(".kv", Select)
        with self.prevent(Select.Changed):
            kv.set_options(self._kv_options())
            kv.value = self.kv_precision
        self._show_options()
        self.post_message(self.Chosen())

    def _kv_options(self) -> list[tuple[str, str]]:
        """The backend's own choice, and the others that it offers."""
        names = kv_choices(self.backend, self.precision)
        others = names if len(names) > 1 else ()
        return [(f"KV auto: {names[0]}", AUTO), *((f"KV {name}", name) for name in others)]

    def _show_options(self) -> None:
        self.query_one(OptionRow).show(self.calibrates, self.wanted_calibration, self.gpu_counts, self.gpus)
        self.query_one(PrecisionList).show_calibrates(self.calibrates)

    def _list(self) -> None:
        self.query_one(PrecisionList).show(self.supports, self.precision)

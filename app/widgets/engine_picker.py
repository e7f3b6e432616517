"""Choose backend and precision of one side, with what it will take and why a precision is not to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Select, Static
from textual.widgets.option_list import Option

from app.state.settings import EngineChoice
from app.units import bytes_text
from app.widgets.drawing import MUTED
from engines.backends.registry import BACKENDS
from engines.plan.checkpoint import Checkpoint
from engines.plan.estimate import estimate
from engines.plan.hardware import Device
from engines.plan.precision import PRECISIONS, State, default_precision, support_table

STATES = {
    "native": ("●", "$text-success", "native"),
    "fallback": ("◐", "$text-warning", "fallback"),
    "unavailable": ("○", "dim", "not here"),
}


class PrecisionList(OptionList):
    """Enter goes; a click only chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Prepare", id="precisions.submit")]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a precision."""

    def action_submit(self) -> None:
        """Enter: go."""
        self.post_message(self.Submitted())


class EnginePicker(Vertical):
    """A backend and a precision."""

    HELP = """\
# Precision

How weights are stored. ● native, ◐ fallback (stored so, computed otherwise), ○ not to be had here; the
line below says why, and what the engine will take: weights, KV cache at the chosen context, the peak of
the process, and whether that fits.
"""

    def __init__(self, name: str, choice: EngineChoice, device: Device) -> None:
        super().__init__(id=f"engine-{name}", classes="engine-picker")
        self.border_title = name.capitalize()
        self.backend = choice.backend if choice.backend in BACKENDS else next(iter(BACKENDS))
        known = choice.precision in PRECISIONS
        self.precision = choice.precision if known else default_precision(self.backend, device)
        self.kv_precision = choice.kv_precision
        self._device = device
        self._checkpoint: Checkpoint | None = None
        self._context_tokens = 0

    @property
    def choice(self) -> EngineChoice:
        """What is chosen now."""
        return EngineChoice(self.backend, self.precision, self.kv_precision)

    @property
    def problem(self) -> str:
        """Why the choice cannot be prepared; empty when it can."""
        support = support_table(self.backend, self._device)[self.precision]
        return f"{support.reason} {support.remedy}".strip() if support.state == "unavailable" else ""

    def compose(self) -> ComposeResult:
        """Backend, precisions, the estimate."""
        backends = [(entry.title, name) for name, entry in BACKENDS.items()]
        yield Select(backends, value=self.backend, allow_blank=False, classes="backend", compact=True)
        yield PrecisionList(classes="precisions")
        yield Static(classes="estimate", markup=False)

    def on_mount(self) -> None:
        """Fill the list."""
        self._list()

    def show(self, checkpoint: Checkpoint | None, context: int) -> None:
        """Estimate for this checkpoint and context from now on."""
        self._checkpoint, self._context_tokens = checkpoint, context
        self._explain()

    @on(Select.Changed)
    def backend_chosen(self, event: Select.Changed) -> None:
        """Another backend has other precisions."""
        if isinstance(event.value, str) and event.value != self.backend:
            self.backend = event.value
            if support_table(self.backend, self._device)[self.precision].state == "unavailable":
                self.precision = default_precision(self.backend, self._device)
            self._list()

    @on(OptionList.OptionHighlighted, ".precisions")
    def precision_chosen(self, event: OptionList.OptionHighlighted) -> None:
        """The highlighted precision is the chosen one."""
        if event.option_id:
            self.precision = event.option_id
            self._explain()

    def _list(self) -> None:
        """What runs comes first: what does not is the truth too, but must not push it out of sight."""
        options = self.query_one(PrecisionList)
        options.clear_options()
        table = support_table(self.backend, self._device)
        for name in sorted(table, key=lambda name: table[name].state == "unavailable"):
            options.add_option(Option(_line(name, table[name].state), id=name))
        options.highlighted = options.get_option_index(self.precision)
        self._explain()

    def _explain(self) -> None:
        support = support_table(self.backend, self._device)[self.precision]
        why = f"{support.reason} {support.remedy}".strip()
        what = (PRECISIONS[self.precision].description, MUTED)
        match support.state:
            case "unavailable":
                parts = [(f"○ {why}", "$text-warning"), what]
            case "fallback":
                parts = [*self._estimate(), (why, "$text-warning"), what]
            case "native":
                parts = [*self._estimate(), what, (why, MUTED)]
        self.query_one(".estimate", Static).update(Content("\n").join(Content.styled(*one) for one in parts))

    def _estimate(self) -> list[tuple[str, str]]:
        """Lines and their styles; none while there is nothing to estimate from."""
        if not (self._checkpoint and self._context_tokens):
            return []
        found = estimate(
            self._checkpoint,
            self.backend,
            self.precision,
            self.kv_precision,
            self._context_tokens,
            self._device,
        )
        parts = f"weights {bytes_text(found.weights)} · KV {bytes_text(found.kv)}"
        if not found.fits:
            return [(f"✗ {found.problem}", "$text-error"), (parts, "")]
        free = f" of {bytes_text(found.available)} free" if found.available is not None else ""
        return [(f"✓ peak {bytes_text(found.peak)}{free or ', fits'}", "$text-success"), (parts, "")]


def _line(name: str, state: State) -> Content:
    glyph, style, word = STATES[state]
    title = f"{PRECISIONS[name].title:<18}"
    if state == "unavailable":
        return Content.styled(f"{glyph} {title}{word}", style)
    return Content.assemble((f"{glyph} ", style), title, (word, "dim"))

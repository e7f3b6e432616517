"""Choose backend and precision of one side, with what it will take and why a precision is not to be had."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Select, Static
from textual.widgets.option_list import Option

from app.state.settings import EngineChoice
from app.units import bytes_text
from engines.backends.registry import BACKENDS
from engines.plan.checkpoint import Checkpoint
from engines.plan.estimate import Estimate, estimate
from engines.plan.hardware import Device
from engines.plan.precision import PRECISIONS, default_precision, support_table

STATES = {
    "native": ("●", "$text-success"),
    "fallback": ("◐", "$text-warning"),
    "unavailable": ("○", "$text-muted"),
}


class EnginePicker(Vertical):
    """A backend and a precision."""

    HELP = """\
# Precision

How weights are stored. ● native, ◐ fallback (stored so, computed otherwise), ○ not to be had here; the
line below says why, and what the engine will take: weights, KV cache at the chosen context, the peak of
the process, and whether that fits.
"""

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a precision."""

    def __init__(self, name: str, choice: EngineChoice, device: Device) -> None:
        super().__init__(id=f"engine-{name}", classes="engine-picker")
        self.border_title = name.capitalize()
        self.backend = choice.backend if choice.backend in BACKENDS else next(iter(BACKENDS))
        self.precision = choice.precision
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
        yield OptionList(classes="precisions")
        yield Static(classes="estimate")

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

    @on(OptionList.OptionSelected, ".precisions")
    def submit(self) -> None:
        """Enter: go."""
        self.post_message(self.Submitted())

    def _list(self) -> None:
        options = self.query_one(".precisions", OptionList)
        options.clear_options()
        for name, support in support_table(self.backend, self._device).items():
            glyph, colour = STATES[support.state]
            text = Content.assemble(
                (f"{glyph} ", colour), f"{PRECISIONS[name].title:<18}", (support.state, "$text-muted")
            )
            options.add_option(Option(text, id=name))
        options.highlighted = options.get_option_index(self.precision)
        self._explain()

    def _explain(self) -> None:
        support = support_table(self.backend, self._device)[self.precision]
        lines = [PRECISIONS[self.precision].description, f"{support.reason} {support.remedy}".strip()]
        if self._checkpoint and self._context_tokens and support.state != "unavailable":
            lines.append(
                _estimate_text(
                    estimate(
                        self._checkpoint,
                        self.backend,
                        self.precision,
                        self.kv_precision,
                        self._context_tokens,
                        self._device,
                    )
                )
            )
        self.query_one(".estimate", Static).update(Content("\n".join(lines)))


def _estimate_text(found: Estimate) -> str:
    parts = f"weights {bytes_text(found.weights)} · KV {bytes_text(found.kv)} · peak {bytes_text(found.peak)}"
    return f"{parts} · fits" if found.fits else f"{parts}\n{found.problem}"

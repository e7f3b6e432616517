"""The precisions of one side, each with its support state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets.option_list import Option

from app.widgets.marked_lists import MarkedOptionList
from engines.plan.gguf_formats import precision_of
from engines.plan.precision import State, Support

STATES = {
    "native": ("●", "$text-success", "native"),
    "partial": ("◐", "$text-warning", "partial"),
    "unavailable": ("○", "$foreground-muted", "unavailable"),
}


class PrecisionList(MarkedOptionList):
    """A list whose Enter key prepares the engines; a click only highlights."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Build and chat", id="precisions.submit"),
        Binding("c", "calibrate", "Calibration text", id="precisions.calibrate"),
        Binding("h", "fold", "Unavailable", id="precisions.fold"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a precision."""

    @dataclass
    class CalibrationRequested(Message):
        """The user asked to choose the calibration text."""

    calibrates = False
    """Whether the chosen precision is calibrated; only then the footer shows the key."""
    folded = True
    """Whether unavailable precisions are one line; the chosen one is always shown."""
    _table: Mapping[str, Support] = MappingProxyType({})
    _notes: Mapping[str, str] = MappingProxyType({})
    _shown: object = None
    _chosen = ""

    def show(self, table: Mapping[str, Support], chosen: str, notes: Mapping[str, str] | None = None) -> None:
        """Show the support of every precision, unavailable ones last so that they do not hide the others.

        Args:
            table: Support of each precision.
            chosen: The precision to highlight. If it is unchanged, a newer highlight by the user is kept,
                whose message the picker has not handled yet.
            notes: What is said of a precision behind its state, such as its size.
        """
        moved = self.highlighted_option if chosen == self._chosen else None
        self._chosen, self._table = chosen, table
        self._notes = self._notes if notes is None else notes
        self._draw(moved.id if moved and moved.id else chosen)

    def _draw(self, chosen: str) -> None:
        table = self._table
        runs = [name for name in table if table[name].state != "unavailable"]
        others = [name for name in table if table[name].state == "unavailable"]
        shown = [*runs, *(name for name in others if not self.folded or name == chosen)]
        state = tuple((name, table[name], self._notes.get(name)) for name in shown), len(others)
        if state == self._shown:
            return
        self._shown = state
        options = [
            Option(_line(name, table[name].state, self._notes.get(name, "")), id=name) for name in shown
        ]
        if hidden := len(table) - len(shown):
            options.append(
                Option(
                    Content.styled(f"○ {hidden} unavailable · H shows them", "$foreground-muted"),
                    disabled=True,
                )
            )
        self.set_options(options)
        self.highlighted = self.get_option_index(chosen)

    def action_fold(self) -> None:
        """Show or fold the unavailable precisions."""
        self.folded = not self.folded
        option = self.highlighted_option
        self._draw(option.id if option and option.id else self._chosen)

    def show_calibrates(self, calibrates: bool) -> None:
        """Enable or disable the key for the calibration text."""
        if calibrates != self.calibrates:
            self.calibrates = calibrates
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the calibration key for precisions that are not calibrated."""
        return self.calibrates if action == "calibrate" else True

    def action_submit(self) -> None:
        """Post `Submitted`."""
        self.post_message(self.Submitted())

    def action_calibrate(self) -> None:
        """Post `CalibrationRequested`."""
        self.post_message(self.CalibrationRequested())


def _line(name: str, state: State, note: str) -> Content:
    glyph, style, label = STATES[state]
    title = precision_of(name).title
    if state == "unavailable":
        return Content.styled(f"{glyph} {title:<18}{label}", style)
    return Content.assemble(
        (f"{glyph} ", style), f"{title + ' ':<5}", (f"{label:<8}{note}", "$foreground-muted")
    )

"""The precisions of one side, each with its support state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engines.plan.precision import PRECISIONS, State, Support

STATES = {
    "native": ("●", "$text-success", "native"),
    "partial": ("◐", "$text-warning", "partial"),
    "unavailable": ("○", "dim", "unavailable"),
}


class PrecisionList(OptionList):
    """A list whose Enter key prepares the engines; a click only highlights."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Prepare", id="precisions.submit"),
        Binding("c", "calibrate", "Calibration text", id="precisions.calibrate"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a precision."""

    @dataclass
    class CalibrationRequested(Message):
        """The user asked to choose the calibration text."""

    calibrates = False
    """Whether the chosen precision is calibrated; only then the footer shows the key."""
    _shown: dict[str, Support] | None = None
    _chosen = ""

    def show(self, table: dict[str, Support], chosen: str) -> None:
        """Show the support of every precision, unavailable ones last so that they do not hide the others.

        Args:
            table: Support of each precision.
            chosen: The precision to highlight. If it is unchanged, a newer highlight by the user is kept,
                whose message the picker has not handled yet.
        """
        moved = self.highlighted_option if chosen == self._chosen else None
        self._chosen = chosen
        if table == self._shown:
            return
        self._shown = table
        chosen = moved.id if moved and moved.id else chosen
        self.clear_options()
        for name in sorted(table, key=lambda name: table[name].state == "unavailable"):
            self.add_option(Option(_line(name, table[name].state), id=name))
        self.highlighted = self.get_option_index(chosen)

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


def _line(name: str, state: State) -> Content:
    glyph, style, label = STATES[state]
    title = f"{PRECISIONS[name].title:<18}"
    if state == "unavailable":
        return Content.styled(f"{glyph} {title}{label}", style)
    return Content.assemble((f"{glyph} ", style), title, (label, "dim"))

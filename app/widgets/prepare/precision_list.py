"""The precisions of one side, each with its state."""

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
    """Enter goes; a click only chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Prepare", id="precisions.submit"),
        Binding("c", "calibrate", "Calibration text", id="precisions.calibrate"),
    ]

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a precision."""

    @dataclass
    class Calibrate(Message):
        """The text to calibrate with is to be chosen."""

    calibrates = False
    """Whether the chosen precision is calibrated: the key is shown only then."""
    _shown: dict[str, Support] | None = None
    _chosen = ""

    def show(self, table: dict[str, Support], chosen: str) -> None:
        """Show the states. What runs comes first: what does not must not push it out of sight.

        Args:
            table: Of every precision.
            chosen: What the picker knows to be chosen. A move of the cursor that it has not heard of counts
                more, so that a table that changes under the user's fingers takes nothing back.
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
        """Offer the key, or take it away."""
        if calibrates != self.calibrates:
            self.calibrates = calibrates
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to calibrate with most precisions."""
        return self.calibrates if action == "calibrate" else True

    def action_submit(self) -> None:
        """Enter: go."""
        self.post_message(self.Submitted())

    def action_calibrate(self) -> None:
        """C: another text."""
        self.post_message(self.Calibrate())


def _line(name: str, state: State) -> Content:
    glyph, style, word = STATES[state]
    title = f"{PRECISIONS[name].title:<18}"
    if state == "unavailable":
        return Content.styled(f"{glyph} {title}{word}", style)
    return Content.assemble((f"{glyph} ", style), title, (word, "dim"))

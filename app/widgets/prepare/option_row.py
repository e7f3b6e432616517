"""What only some engines can be told: the text to calibrate with, and how many GPUs share the weights."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Select, Static

from app.state.prepare.engine_titles import file_name
from app.widgets.panels.drawing import MUTED
from app.widgets.prepare.precision_list import PrecisionList

OURS = "ours"
"""The texts that ship with the project."""


class CalibrationLine(Static):
    """Which text it is; a click chooses another, as C does."""

    def on_click(self, event: Click) -> None:
        """As the key."""
        event.stop()
        self.post_message(PrecisionList.Calibrate())


class OptionRow(Horizontal):
    """One line, and none where there is nothing to choose."""

    @dataclass
    class GpusChosen(Message):
        """The weights are to be split over another number of GPUs."""

        count: int

    def __init__(self, counts: tuple[int, ...], gpus: int) -> None:
        """Begin with these numbers of GPUs, and this one chosen."""
        super().__init__(classes="picker-row")
        self._counts, self._gpus = counts, gpus

    def compose(self) -> ComposeResult:
        """The text, and the GPUs."""
        yield CalibrationLine(classes="calibration", markup=False)
        options = _gpu_options(self._counts)
        yield Select(options, value=self._gpus, allow_blank=False, classes="gpus", compact=True)

    def show(self, calibrates: bool, calibration: str, counts: tuple[int, ...], gpus: int) -> None:
        """Show what is chosen.

        Args:
            calibrates: whether there is a text to choose.
            calibration: the user's file; empty for ours.
            counts: the numbers of GPUs that can be had.
            gpus: the chosen one.
        """
        several = len(counts) > 1
        self.display = calibrates or several
        self.query_one(CalibrationLine).update(_words(calibrates, calibration))
        select = self.query_one(".gpus", Select)
        select.display = several
        with self.prevent(Select.Changed):
            if counts != self._counts:
                self._counts = counts
                select.set_options(_gpu_options(counts))
            select.value = gpus

    @on(Select.Changed, ".gpus")
    def gpus_chosen(self, event: Select.Changed) -> None:
        """Another number of GPUs."""
        event.stop()
        if isinstance(event.value, int):
            self.post_message(self.GpusChosen(event.value))


def _gpu_options(counts: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(f"{count} GPU{'s' if count > 1 else ''}", count) for count in counts]


def _words(calibrates: bool, calibration: str) -> Content:
    if not calibrates:
        return Content.styled("Weights and cache on", MUTED)
    name = file_name(calibration) if calibration else OURS
    return Content.assemble(("Calibration: ", MUTED), name)

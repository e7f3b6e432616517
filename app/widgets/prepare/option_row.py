"""The options that only some engines have: calibration text, the GPU, and the number of GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Select, Static

from app.widgets.panels.drawing import MUTED
from app.widgets.prepare.precision_list import PrecisionList


class CalibrationLine(Static):
    """Names the calibration text; a click opens the dialog, as the key C does."""

    def on_click(self, event: Click) -> None:
        """Ask for another calibration text."""
        event.stop()
        self.post_message(PrecisionList.CalibrationRequested())


class OptionRow(Horizontal):
    """One line of options; hidden where the engine has none."""

    @dataclass
    class GpusChosen(Message):
        """The user chose the number of GPUs."""

        count: int

    @dataclass
    class DeviceChosen(Message):
        """The user chose the GPU, by name."""

        device: str

    def __init__(self, counts: tuple[int, ...], gpus: int) -> None:
        """Create the row with the possible numbers of GPUs and the chosen one."""
        super().__init__(classes="picker-row")
        self._counts, self._gpus = counts, gpus
        self._devices: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Yield the calibration text, the GPU and the number of GPUs."""
        yield CalibrationLine(classes="calibration", markup=False)
        none: list[tuple[str, str]] = []
        yield Select(none, classes="device", compact=True, prompt="GPU")
        options = _gpu_options(self._counts)
        yield Select(options, value=self._gpus, allow_blank=False, classes="gpus", compact=True)

    def show(self, calibrates: bool, calibration: str, counts: tuple[int, ...], gpus: int) -> None:
        """Show the calibration and the number of GPUs.

        Args:
            calibrates: Whether the precision is calibrated.
            calibration: Name of the user's file, or what is used without one.
            counts: The possible numbers of GPUs.
            gpus: The chosen number.
        """
        several = len(counts) > 1
        self.display = calibrates or several or len(self._devices) > 1
        self.query_one(CalibrationLine).update(_calibration_text(calibrates, calibration))
        select = self.query_one(".gpus", Select)
        select.display = several
        with self.prevent(Select.Changed):
            if counts != self._counts:
                self._counts = counts
                select.set_options(_gpu_options(counts))
            select.value = gpus

    def show_devices(self, devices: Sequence[str], chosen: str) -> None:
        """Show which of several GPUs is chosen; `devices` is empty where there is no choice."""
        select, names = self.query_one(".device", Select), tuple(devices)
        select.display = len(names) > 1
        with self.prevent(Select.Changed):
            if names != self._devices:
                self._devices = names
                select.set_options([(f"GPU {name.partition(':')[2]}", name) for name in names])
            if names:
                select.value = chosen

    @on(Select.Changed, ".device")
    def device_chosen(self, event: Select.Changed) -> None:
        """Post the chosen GPU."""
        event.stop()
        if isinstance(event.value, str):
            self.post_message(self.DeviceChosen(event.value))

    @on(Select.Changed, ".gpus")
    def gpus_chosen(self, event: Select.Changed) -> None:
        """Post the chosen number of GPUs."""
        event.stop()
        if isinstance(event.value, int):
            self.post_message(self.GpusChosen(event.value))


def _gpu_options(counts: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(f"{count} GPU{'s' if count > 1 else ''}", count) for count in counts]


def _calibration_text(calibrates: bool, calibration: str) -> Content:
    if not calibrates:
        return Content.styled("Weights and cache on", MUTED)
    return Content.assemble(("Calibration: ", MUTED), calibration)

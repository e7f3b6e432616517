"""One row of the settings screen: title, control and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Select, Static

from app.state.settings.setting_rows import SettingRow
from app.widgets.forms.ascii_checkbox import AsciiCheckbox


class Setting(Vertical):
    """A setting; posts `Changed` for every valid value."""

    @dataclass
    class Changed(Message):
        """The user entered a valid value."""

        name: str
        value: Any

    def __init__(self, row: SettingRow, value: Any) -> None:
        super().__init__(id=f"setting-{row.name}", classes="setting")
        self.row, self._initial = row, value

    def compose(self) -> ComposeResult:
        """Yield title and control; below them the meaning."""
        with Horizontal():
            yield Static(self.row.title, classes="setting-title")
            yield self._control()
        yield Static(self.row.meaning, classes="setting-meaning", markup=False)

    def _control(self) -> Widget:
        if self.row.type is bool:
            return AsciiCheckbox("on", self._initial, compact=True)
        if choices := self.row.choices:
            pairs = [(choice, choice) for choice in choices]
            return Select(pairs, value=str(self._initial), allow_blank=False, compact=True)
        return Input(str(self._initial), compact=True, max_length=200)

    def show(self, value: Any) -> None:
        """Show `value`, after the setting was changed elsewhere."""
        with self.prevent(Checkbox.Changed, Select.Changed, Input.Changed):
            for control in self.query(Checkbox):
                control.value = value
            for select in self.query(Select).results(Select):
                select.value = str(value)
            for entry in self.query(Input):
                if self.row.value(entry.value) != value:  # keep the text being typed if it means the same
                    entry.value = str(value)

    @on(Checkbox.Changed)
    def switched(self, event: Checkbox.Changed) -> None:
        """Post the new value of the checkbox."""
        self.post_message(self.Changed(self.row.name, event.value))

    @on(Select.Changed)
    @on(Input.Changed)
    def read(self, event: Select.Changed | Input.Changed) -> None:
        """Post a valid value, or show why it is invalid."""
        value = self.row.value(str(event.value))
        meaning = self.query_one(".setting-meaning", Static)
        meaning.set_class(value is None, "-wrong")
        meaning.update(self.row.meaning if value is not None else f"✗ {self.row.problem}")
        if value is not None:
            self.post_message(self.Changed(self.row.name, value))

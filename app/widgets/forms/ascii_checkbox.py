"""A checkbox that shows `[X]` or `[ ]`: without colours, Textual's dim X of an empty box looks checked."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class AsciiCheckbox(Checkbox):
    """A checkbox whose state is readable without colours."""

    BUTTON_LEFT = BUTTON_RIGHT = ""
    """Textual's blocks have the colour of the background, and take columns of the label."""

    def render(self) -> Content:
        """Render the mark for the current value."""
        self.BUTTON_INNER = "[X]" if self.value else "[ ]"
        return super().render()

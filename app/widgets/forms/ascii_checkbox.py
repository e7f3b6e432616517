"""A checkbox that is empty while it is off: without colours an X that is only dim looks checked."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class AsciiCheckbox(Checkbox):
    """On or off, to be told apart without colours."""

    DEFAULT_CSS = """
    AsciiCheckbox {
        & > .toggle--button, &.-on > .toggle--button, &:focus > .toggle--button {
            color: $foreground;
            background: $surface;
        }
    }
    """

    def render(self) -> Content:
        """Draw the mark that belongs to the value."""
        self.BUTTON_INNER = "[X]" if self.value else "[ ]"
        return super().render()

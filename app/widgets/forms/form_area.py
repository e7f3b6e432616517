"""A text area of a form."""

from __future__ import annotations

from textual import events
from textual.widgets import TextArea

LARGEST_PASTE = 65_536
"""In characters. A megabyte is wrapped again with each key, which takes seconds."""


class FormArea(TextArea):
    """A text area that refuses a paste with which it would be too slow to edit."""

    def on_paste(self, event: events.Paste) -> None:
        """Refuse a long paste with a message."""
        if len(event.text) > LARGEST_PASTE:
            event.prevent_default()
            event.stop()
            self._refuse()

    def action_paste(self) -> None:
        """Paste the app's clipboard."""
        if len(self.app.clipboard) > LARGEST_PASTE:
            self._refuse()
        else:
            super().action_paste()

    def _refuse(self) -> None:
        limit = f"{LARGEST_PASTE:,} characters"
        self.notify(f"The paste is longer than {limit}. Paste only the part you need.", severity="warning")

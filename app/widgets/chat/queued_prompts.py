"""The line that shows which prompts wait for the end of the answers."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from app.state.conversation.draft import Draft
from app.terminal_text import displayable
from app.widgets.panels.drawing import MUTED, one_line

ONE, SEVERAL = "Esc takes it back", "Esc takes them back"


class QueuedPrompts(Widget):
    """One line above the prompt; hidden while nothing is queued."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._queued: tuple[Draft, ...] = ()
        self.display = False

    def show(self, queued: tuple[Draft, ...]) -> None:
        """Show these prompts, in the order in which they will be sent."""
        self._queued, self.display = queued, bool(queued)
        self.refresh()

    def render(self) -> Content:
        """Return `queued: Why? · Esc takes it back`; long prompts are cut."""
        count = len(self._queued)
        head = "queued: " if count == 1 else f"{count} queued: "
        hint = f" · {ONE if count == 1 else SEVERAL}"
        texts = (draft.text or draft.attachments[0].title for draft in self._queued)
        room = self.size.width - cell_len(head) - cell_len(hint)
        text = one_line(" · ".join(displayable(text) for text in texts), max(1, room))
        return Content.assemble((head, "bold"), text, (hint, MUTED))

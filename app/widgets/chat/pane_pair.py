"""The two panes of the chat, and how answers are drawn in them."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from app.state.side.pacing import BUSY_RATE
from app.state.side.side import Side
from app.widgets.chat.pane import Pane


class PanePair(Horizontal):
    """Left and right; draws the answers of a GenerationRun."""

    def __init__(self, left: Side, right: Side, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._sides = left, right

    def compose(self) -> ComposeResult:
        """Create a pane for each side."""
        for side in self._sides:
            yield Pane(side)

    @property
    def panes(self) -> list[Pane]:
        """Left and right."""
        return list(self.query(Pane))

    def pane(self, side: Side) -> Pane:
        """Return the pane that shows `side`."""
        return next(pane for pane in self.panes if pane.side is side)

    @property
    def focused_side(self) -> Side:
        """The side that has the focus, or the left one."""
        focused = (pane.side for pane in self.panes if pane.has_focus_within)
        return next(focused, self._sides[0])

    @property
    def is_busy(self) -> bool:
        """Whether tokens arrive so fast that every update of the screen slows the engines down."""
        return sum(side.rate() for side in self._sides) > BUSY_RATE

    def exchange(self, left: Side, right: Side) -> None:
        """Show other sides, or the same ones the other way round."""
        self._sides = left, right
        for pane, side in zip(self.panes, self._sides, strict=True):
            pane.side = side
        self.show_builds()
        self.show_conversations()

    def show_conversations(self) -> None:
        """Draw the sides' conversations again."""
        for pane in self.panes:
            pane.show_conversation()

    def show_builds(self) -> None:
        """Draw how far each engine is prepared."""
        for pane in self.panes:
            pane.build = pane.side.build
            pane.show_phase()

    def show_phases(self) -> None:
        """Draw what each side is doing, and for how long."""
        for pane in self.panes:
            pane.show_phase()

    def begin_answer(self, side: Side) -> None:
        """Draw the turn that is about to be answered."""
        self.pane(side).begin()

    def flush(self) -> None:
        """Draw the text that has arrived."""
        for pane in self.panes:
            pane.flush()

    def end_answer(self, side: Side) -> None:
        """Draw the complete answer."""
        self.pane(side).finish()

    def copy_last_answer(self) -> None:
        """Copy the last answer of the focused side, or of the left one."""
        side = self.focused_side
        answered = [turn for turn in side.conversation.turns if turn.answered]
        if answered:
            self.app.copy_to_clipboard(answered[-1].answer)
            self.notify(f"Copied the last answer of the {side.name} side.")
        else:
            self.notify("There is no answer to copy yet.")

    def report(self, message: str) -> None:
        """Show a warning."""
        self.notify(message, severity="warning", markup=False)

"""What an audience sees above and below the answers: the model, and large figures of their speed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from app.state.conversation.speed_ratio import SpeedRatio
from app.state.conversation.turn import Turn
from app.state.side.stage_figure import StageFigure
from app.terminal_text import displayable
from app.units import ratio_text
from app.widgets.chat.large_digits import LargeDigits

FASTER = 1.005
"""Smaller ratios have no large figure: the headline says it in words."""


class StageTitle(Static):
    """Above the answers: the model, and how it is shown."""

    def show(self, model: str, *notes: str, warning: str = "", below: str = "") -> None:
        """Show the name of the model and notes, such as the timing mode.

        Args:
            warning: shown before them.
            below: shown on the next lines, if there is any.
        """
        parts = [(displayable(warning).replace("\n", " "), "$text-error"), (displayable(model), "bold")]
        parts += [(displayable(note), "$foreground-muted") for note in notes]
        shown = [Content.styled(text, style) for text, style in parts if text]
        title = Content("  ·  ").join(shown)
        if below:
            title = Content.assemble(title, "\n", (displayable(below), "$text-warning"))
        if title != self.content:  # called four times a second
            self.update(title)


class StageFigures(Horizontal):
    """The decode rate of each side and, between them, how many times as fast one is."""

    def compose(self) -> ComposeResult:
        """Yield the left figure, the ratio, and the right figure."""
        yield _Figure(id="stage-left")
        yield _Figure(id="stage-ratio")
        yield _Figure(id="stage-right")

    def show(self, left: StageFigure, right: StageFigure) -> None:
        """Show the figures of both sides."""
        self.query_one("#stage-left", _Figure).show(left)
        self.query_one("#stage-right", _Figure).show(right)

    def show_ratio(self, ratio: SpeedRatio | None, left: Sequence[Turn]) -> None:
        """Show how many times as fast; nothing where it should not be quoted, or is not faster.

        Args:
            left: the turns of the left side, by which the arrow points to the faster one.
        """
        figure = self.query_one("#stage-ratio", _Figure)
        figure.display = ratio is not None and not ratio.doubt and ratio.median >= FASTER
        if ratio and figure.display:
            words = "◂ times as fast" if left and ratio.last[0] is left[-1] else "times as fast ▸"
            figure.show(StageFigure(f"{ratio_text(ratio.median)}x", words))


class _Figure(Vertical):
    """A number of three rows, what it is, and why it should not be quoted."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._shown: StageFigure | None = None

    def compose(self) -> ComposeResult:
        """Yield the number and the words."""
        yield LargeDigits("", classes="stage-number")
        yield Static(classes="stage-words", markup=False)

    def show(self, figure: StageFigure) -> None:
        """Show a figure, unless it is shown already: this is called four times a second."""
        if figure == self._shown:
            return
        self._shown = figure
        self.set_class(bool(figure.doubt), "-doubtful")
        self.query_one(LargeDigits).update(figure.number or "-")
        self.query_one(Static).update("\n".join(filter(None, (figure.words, figure.doubt))))

"""The two panes of the chat, and how answers are drawn and shaded in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal

from app.answer_scores import answer_scores
from app.interface import playground
from app.state.side import turns
from app.state.side.pacing import BUSY_RATE
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.widgets.chat.pane import Pane
from app.widgets.chat.transcript.transcript import Place, Transcript
from engines.errors import EngineError, error_text

SLOW_SECONDS = 1.0
"""After which a computation is mentioned."""


class PanePair(Horizontal):
    """Left and right; draws the answers of a GenerationRun."""

    def __init__(self, left: Side, right: Side, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._sides = left, right
        self.shades = False
        """Whether answers are shaded by the probability of their tokens."""

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
        self.show_phases()

    @on(Transcript.Scrolled)
    def follow_scrolling(self, event: Transcript.Scrolled) -> None:
        """Scroll the other side to the same place, while the sides scroll together."""
        if playground(self).settings.scroll_together:
            self._lead_from(event.transcript, event.place)

    def align(self) -> None:
        """Scroll the side without the focus to the place of the other one."""
        leader = self.pane(self.focused_side).transcript
        self._lead_from(leader, None if leader.follows else leader.place)

    def _lead_from(self, leader: Transcript, place: Place | None) -> None:
        for pane in self.panes:
            if pane.transcript is leader or pane.is_stale:
                continue
            if place is None:
                pane.lead_to(None)
                continue
            indices = turns.indices_by_side(place.turn, self._sides)
            if (index := indices.get(pane.side)) is not None:
                pane.lead_to(Place(pane.side.conversation.turns[index], place.share))

    @on(Transcript.ShadesRequested)
    def toggle_shades(self, event: Transcript.ShadesRequested) -> None:
        """Shade a turn's answers, and those to come, by the probability of their tokens; or stop doing so."""
        self.shades = not event.shaded
        self.stop_shading()
        if self.shades:
            self._shade(turns.indices_by_side(event.turn, self._sides), scroll=True)
            return
        for pane in self.panes:
            pane.show_texts()

    def shade_answers(self, sides: Iterable[Side]) -> None:
        """Shade the last answers of these sides, while answers are shaded."""
        if self.shades:
            self._shade(dict.fromkeys(sides, -1))

    def stop_shading(self) -> None:
        """Shade nothing more of what was asked for."""
        self.workers.cancel_group(self, "shade")

    @work(group="shade", exclusive=True, exit_on_error=False)
    async def _shade(self, indices: Mapping[Side, int], *, scroll: bool = False) -> None:
        slow = self.set_timer(SLOW_SECONDS, lambda: self.notify("The probabilities are being computed …"))
        try:
            for side, index in indices.items():
                turn = side.conversation.turns[index]
                try:
                    scores = await answer_scores(playground(self).engine(side), index)
                except EngineError as error:
                    self.report(f"{side.title}: {error_text(error)}")
                else:
                    self.pane(side).shade(turn, scores, scroll=scroll)
        finally:
            slow.stop()

    def show_phases(self) -> None:
        """Draw what each side is doing, and for how long; a cause that both have failed for is shown once."""
        left, right = self.panes
        errors = [pane.side.error if pane.side.phase is Phase.FAILED else None for pane in (left, right)]
        causes = [(error.code, error.message) if error else None for error in errors]
        right.repeats_error = causes[0] is not None and causes[0] == causes[1]
        for pane in (left, right):
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

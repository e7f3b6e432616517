"""One side of a replay: earlier turns, and the recorded answer as far as it has arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from app.state.conversation.replay import Moment, Progress, RecordedAnswer
from app.terminal_text import displayable
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from app.widgets.chat.transcript.transcript import Transcript

TURNS_SHOWN = 20
"""Earlier turns that can be scrolled to."""


class RecordedTranscript(Transcript, can_focus=False):
    """Turns that can be read and scrolled; nothing can be asked of them, because there is no engine."""

    def on_click(self, event: events.Click) -> None:
        """Mark no turn: its actions need an engine."""
        event.prevent_default()


class RecordedPane(Vertical):
    """Draws one side."""

    def __init__(self, name: str) -> None:
        """Create it; `name` is `left` or `right`."""
        super().__init__(id=f"pane-{name}", classes="pane")
        self._side = name.capitalize()
        self._answer: RecordedAnswer | None = None
        self._live: RenderedTurn | None = None

    def compose(self) -> ComposeResult:
        """Yield the turns."""
        yield RecordedTranscript(id=f"turns-{self.id}")

    @property
    def transcript(self) -> Transcript:
        """The widget that shows the turns."""
        return self.query_one(Transcript)

    def begin(self, before: Sequence[RecordedAnswer], answer: RecordedAnswer | None) -> None:
        """Show the turns before one, and its prompt; `answer` is None where this side was not asked it."""
        turns = [RenderedTurn(one.turn) for one in before[-TURNS_SHOWN:]]
        self._answer = answer
        self._live = RenderedTurn(replace(answer.turn, answer="", thought="", error=None)) if answer else None
        if self._live:
            self._live.ended = False
            turns.append(self._live)
        self.transcript.show(turns)
        engine = next((one.turn.engine for one in (answer, *reversed(before)) if one and one.turn.engine), "")
        title = f"{self._side} · {displayable(engine)}" if engine else self._side
        self.border_title = Content(title)

    def show(self, moment: Moment) -> None:
        """Show the answer as far as it had arrived."""
        answer, live = self._answer, self._live
        if answer is None or live is None or live.ended:
            return
        if moment.progress is Progress.ENDED:
            live.turn = answer.turn
            live.end()
        elif live.turn.output_length == moment.characters:
            return
        else:
            live.turn.thought, live.turn.answer = answer.turn.output_until(moment.characters)
        self.transcript.grow()

"""One side of the chat: its turns, its phase in the border, and its error."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from app.interface import playground
from app.state.conversation.turn import Turn
from app.state.prepare.build_state import BuildState
from app.state.settings.settings import TimingMode
from app.state.side.model_words import origin_words
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.units import clock_text, count_text, live_rate_text, seconds_text
from app.widgets.chat.failure_card import FailureCard
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from app.widgets.chat.transcript.shaded_answer import ShadedAnswer
from app.widgets.chat.transcript.transcript import Place, Transcript
from engines.compare.token_scores import ScoredAnswer

TURNS_SHOWN = 20
"""Turns rendered at first; older ones follow when the user scrolls up to them."""
CLOCK_SECONDS = 0.9
"""Minimum interval between updates of the clock in the border."""
EMPTY = "No engine on this side.\n\nPress F2 to choose a checkpoint and a precision."
MEANWHILE = "You can type your prompt now. F2 shows the progress."


class Pane(Vertical):
    """The conversation of one side."""

    HELP = """\
# A side

Any engine may be on either side; by default the left is the engine and the right is PyTorch, the
reference. The border says what the side is doing and for how long: *queued* behind the other side,
*prefill* until the first token, *decode* while tokens come, *stalled* when no token came for 2 seconds,
*stopping* after Esc; after 10 seconds of that, **F9** ends the worker and starts it again. Under each answer:

* **tok/s**: decode speed, prefill left out.
* **TTFT**: time from the prompt to the first token.
* **TTFO**: time to the first token of the answer itself, where the model reasoned before it.
* how many tokens it has, and why it ended.

The title of the chat names the model and the timing mode. Where an answer has another model, engine or
mode, its figures include them.
"""
    BINDINGS = [Binding("ctrl+e", "earlier", "Earlier turns", show=False, id="pane.earlier")]  # noqa: RUF012

    def __init__(self, side: Side) -> None:
        super().__init__(id=f"pane-{side.name}", classes="pane")
        self.side = side
        self.build: BuildState | None = None
        """Build and load steps of the side's engine."""
        self.repeats_error = False
        """Whether the other side shows the same error."""
        self._live: RenderedTurn | None = None
        self._rendered_characters = 0
        self._border = ("", "")
        self._border_set_at = 0.0
        self._border_state: tuple[object, ...] = ()
        self._present: tuple[str, str, str] = ("", "", "")
        """Model, engine and timing mode when the origins of the answers were last compared with them."""

    def compose(self) -> ComposeResult:
        """Yield a notice for the empty chat, the turns, and the failure card."""
        yield Static(EMPTY, classes="notice", markup=False)
        yield Transcript(id=f"turns-{self.side.name}")
        yield FailureCard()

    def on_mount(self) -> None:
        """Show the phase; the screen repeats the call with every snapshot."""
        self.show_phase()

    @property
    def transcript(self) -> Transcript:
        """Return the widget that shows the turns."""
        return self.query_one(Transcript)

    def begin(self) -> None:
        """Show the conversation's last turn, which is about to be answered, and follow it."""
        self.show_conversation()
        self._live = self.transcript.turns[-1]
        self._live.ended, self._rendered_characters = False, 0
        self.transcript.grow()
        self.transcript.follow()

    def flush(self) -> None:
        """Render the text that arrived since the last flush."""
        if self._live and self._live.turn.output_length != self._rendered_characters:
            self._rendered_characters = self._live.turn.output_length
            self.transcript.grow()

    def finish(self) -> None:
        """Render the complete answer, whether it finished, failed or was cancelled."""
        if self._live:
            self._live.end()
            self.transcript.grow()
            self._live = None
        self.show_phase()

    def show_conversation(self) -> None:
        """Show the last TURNS_SHOWN turns of the side's conversation."""
        self._live = None
        turns = self.side.conversation.turns
        self.transcript.show(self._rendered(max(0, len(turns) - TURNS_SHOWN), len(turns)))
        self.show_phase()

    def shade(self, turn: Turn, answer: ScoredAnswer, *, scroll: bool = False) -> None:
        """Show an answer as tokens, shaded by their probability.

        Args:
            scroll: whether to scroll to the token that is marked, the least probable one.
        """
        for rendered in self.transcript.turns:
            if rendered.turn is turn and rendered.ended:
                rendered.shaded = ShadedAnswer(answer)
                self.transcript.redraw(rendered)
                if scroll:
                    self.transcript.show_token(rendered)

    def show_texts(self) -> None:
        """Show shaded answers as text again."""
        for rendered in self.transcript.turns:
            if rendered.shaded:
                rendered.shaded = None
                self.transcript.redraw(rendered)

    @property
    def is_stale(self) -> bool:
        """Whether the conversation ends with another turn than the last one shown: a version was added."""
        shown = self.transcript.turns[-1].turn if self.transcript.turns else None
        turns = self.side.conversation.turns
        return shown is not (turns[-1] if turns else None)

    def show_again(self) -> None:
        """Show the conversation without moving the view, after another version of a turn was chosen."""
        top = self.transcript.scroll_offset.y
        self.show_conversation()
        self.transcript.scroll_to(y=top, animate=False)

    @on(Transcript.TopReached)
    def action_earlier(self) -> None:
        """Add TURNS_SHOWN older turns."""
        if hidden := self._hidden:
            self.transcript.show_above(self._rendered(max(0, hidden - TURNS_SHOWN), hidden))
            self.show_phase()

    def lead_to(self, place: Place | None) -> None:
        """Scroll to a place in the side's conversation, or to its end; add older turns if needed."""
        shown = self.side.conversation.turns
        if place is not None:
            index = next(index for index, turn in enumerate(shown) if turn is place.turn)
            if index < self._hidden:
                self.transcript.show_above(self._rendered(index, self._hidden))
        self.transcript.lead_to(place)

    def show_phase(self) -> None:
        """Show in the border which phase the side is in and for how long."""
        side = self.side
        name = f"{side.name.capitalize()} · {side.title}" if side.title else side.name.capitalize()
        subtitle = self._subtitle()
        state = (name, side.phase, self.transcript.follows, self._hidden)
        now = time.monotonic()
        # Setting the border repaints the pane, so a clock alone updates it once a second only.
        clock_due = now - self._border_set_at >= CLOCK_SECONDS
        if (name, subtitle) != self._border and (state != self._border_state or clock_due):
            self._border, self._border_state, self._border_set_at = (name, subtitle), state, now
            self.border_title, self.border_subtitle = Content(name), Content(subtitle)
        self._show_origins()
        self.set_class(side.phase is Phase.FAILED, "-failed")
        log = side.build.log if side.build else None
        error = side.error if side.phase is Phase.FAILED else None
        turns = side.conversation.turns
        told = bool(error and turns and turns[-1].error and turns[-1].error.message == error.message)
        self.query_one(FailureCard).show(error, log, is_repeated=self.repeats_error, is_told=told)
        self._show_notice(self._notice_text())

    def _show_origins(self) -> None:
        """Let answers of another model, engine or timing mode than the present ones say so."""
        side, mode = self.side, self._timing
        present = side.model_name, side.title, mode
        if present == self._present:
            return
        self._present = present
        changed = []
        for rendered in self.transcript.turns:
            if rendered.origin != (origin := self._origin(rendered.turn)):
                rendered.origin = origin
                changed.append(rendered)
        if changed:
            self.transcript.redraw(*changed)

    @property
    def _timing(self) -> TimingMode:
        return playground(self).settings.timing

    def _origin(self, turn: Turn) -> tuple[str, ...]:
        # A chat that has just been opened will have the engines of the settings in a moment.
        opening = self.side.spec is None and playground(self).settings.chosen
        return () if opening else origin_words(turn, self.side, self._timing)

    def _subtitle(self) -> str:
        below = "" if self.transcript.follows else "↓ End: newest text · "
        above = f"↑ {count_text(self._hidden)} earlier turns · " if self._hidden else ""
        return above + below + _phase_text(self.side)

    def _rendered(self, first: int, end: int) -> list[RenderedTurn]:
        """Return turns `first` to `end` of the conversation; those already rendered keep their lines."""
        conversation = self.side.conversation
        known = {id(rendered.turn): rendered for rendered in self.transcript.turns}
        turns = []
        for index, turn in enumerate(conversation.turns[first:end], first):
            versions = conversation.versions(index)
            number = next(number for number, version in enumerate(versions, 1) if version is turn)
            before = known.get(id(turn))
            unchanged = before is not None and (before.version, before.versions) == (number, len(versions))
            if before is None or not unchanged:
                before = RenderedTurn(turn, number, len(versions))
                before.origin = self._origin(turn)
            turns.append(before)
        return turns

    @property
    def _hidden(self) -> int:
        """Return the number of turns that are not rendered."""
        return len(self.side.conversation.turns) - len(self.transcript.turns)

    def _show_notice(self, text: str) -> None:
        notice = self.query_one(".notice", Static)
        if notice.content != text:  # called four times a second: lay out only after a change
            notice.display = bool(text)
            notice.update(text)

    def _notice_text(self) -> str:
        if self.side.conversation.turns:
            return ""
        match self.side.phase:
            case Phase.EMPTY:
                return EMPTY
            case Phase.PREPARING | Phase.LOADING:
                return f"{_stage_text(self.build)}\n\n{MEANWHILE}"
            case Phase.READY:
                return f"{_ready_text(self.build)}\n\nAsk something below."
        return ""


def _stage_text(build: BuildState | None) -> str:
    if build is None or not build.stages:
        return "Reading the checkpoint."
    index, of = build.position
    return f"Preparing: {build.stages[-1]}" + (f" (stage {index} of {of})." if of else ".")


def _ready_text(build: BuildState | None) -> str:
    if build is None or build.ready is None:
        return "Ready."
    if build.prepared and build.prepared.reused:
        return f"Ready: reused from the store in {seconds_text(build.elapsed)}."
    return f"Ready in {seconds_text(build.elapsed)}."


def _phase_text(side: Side) -> str:
    if side.phase in (Phase.EMPTY, Phase.READY, Phase.FAILED):
        return side.phase.value
    if side.is_unresponsive:
        return "not responding · F9 ends it"
    if stalled := side.stalled_seconds:
        return f"stalled: no token for {clock_text(stalled)} · Esc stops"
    clock = f"{side.phase.value} {clock_text(time.monotonic() - side.phase_since)}"
    rate = side.rate() if side.phase is Phase.DECODE else 0.0
    return f"{clock} · {live_rate_text(rate)}" if rate else clock

"""One side on the screen: its turns, what it is doing now, and what went wrong."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from app.state.prepare.build_state import BuildState
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.units import count_text, rate_text, seconds_text
from app.widgets.chat.failure_card import FailureCard
from app.widgets.chat.transcript.drawn_turn import RenderedTurn
from app.widgets.chat.transcript.transcript import Transcript

TURNS_SHOWN = 20
"""Older turns are drawn when the user scrolls up to them."""
CLOCK_SECONDS = 0.9
"""Between two readings of the clock in the border."""
EMPTY = "No engine on this side.\n\nPress F2 to choose a checkpoint and a precision."
MEANWHILE = "You can type your prompt meanwhile; F2 shows the progress."


class Pane(Vertical):
    """The conversation of one side."""

    HELP = """\
# A side

Any engine may stand on either side; usually the left is the engine and the right is PyTorch, the
reference. The border says what the side is doing and for how long: *queued* behind the other side,
*prefill* until the first token, *decode* while tokens come, *stalled* when none came for a while,
*stopping* after Esc. Under each answer:

* **TTFT**: time from the prompt to the first token.
* **tok/s**: decode speed, prefill left out.
* **ITL**: gaps between tokens, median and 95th percentile.
"""
    BINDINGS = [Binding("ctrl+e", "earlier", "Earlier turns", show=False, id="pane.earlier")]  # noqa: RUF012

    def __init__(self, side: Side) -> None:
        super().__init__(id=f"pane-{side.name}", classes="pane")
        self.side = side
        self.build: BuildState | None = None
        """How the side's engine came to be, or is coming."""
        self._live: RenderedTurn | None = None
        self._drawn_characters = 0
        self._border, self._told = ("", ""), 0.0
        self._news: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """A notice while there is nothing else, then the turns, then what went wrong."""
        yield Static(EMPTY, classes="notice", markup=False)
        yield Transcript(id=f"turns-{self.side.name}")
        yield FailureCard()

    def on_mount(self) -> None:
        """Say what the side is doing; the screen calls again with every beat of its clock."""
        self.show_phase()

    @property
    def transcript(self) -> Transcript:
        """The turns as lines."""
        return self.query_one(Transcript)

    def begin(self) -> None:
        """The conversation's last turn is about to be answered."""
        self.show_conversation()
        self._live = self.transcript.turns[-1]
        self._live.ended, self._drawn_characters = False, 0
        self.transcript.grow()
        self.transcript.follow()

    def flush(self) -> None:
        """Draw what has come since the last flush."""
        if self._live and len(self._live.turn.answer) != self._drawn_characters:
            self._drawn_characters = len(self._live.turn.answer)
            self.transcript.grow()

    def finish(self) -> None:
        """The answer ended, one way or the other: draw it whole."""
        if self._live:
            self._live.end()
            self.transcript.grow()
            self._live = None
        self.show_phase()

    def show_conversation(self) -> None:
        """Show the end of the side's conversation as it is now."""
        self._live = None
        turns = self.side.conversation.turns
        self.transcript.show(self._drawn(max(0, len(turns) - TURNS_SHOWN), len(turns)))
        self.show_phase()

    def show_again(self) -> None:
        """Show the conversation after another version of a turn was chosen; what is in view stays."""
        top = self.transcript.scroll_offset.y
        self.show_conversation()
        self.transcript.scroll_to(y=top, animate=False)

    @on(Transcript.TopReached)
    def action_earlier(self) -> None:
        """Draw TURNS_SHOWN more of the older turns."""
        if hidden := self._hidden:
            self.transcript.show_above(self._drawn(max(0, hidden - TURNS_SHOWN), hidden))
            self.show_phase()

    def show_phase(self) -> None:
        """Say in the border which phase the side is in and for how long."""
        side = self.side
        name = f"{side.name.capitalize()} · {side.title}" if side.title else side.name.capitalize()
        subtitle = self._subtitle()
        news = (name, self.side.phase, self.transcript.follows, self._hidden)
        now = time.monotonic()
        # A border that is set is drawn again, and the side with it: a clock that runs waits for its second.
        late = now - self._told >= CLOCK_SECONDS
        if (name, subtitle) != self._border and (news != self._news or late):
            self._border, self._news, self._told = (name, subtitle), news, now
            self.border_title, self.border_subtitle = Content(name), Content(subtitle)
        self.set_class(side.phase is Phase.FAILED, "-failed")
        self.query_one(FailureCard).show(side.error if side.phase is Phase.FAILED else None)
        self._show_notice(self._notice_text())

    def _subtitle(self) -> str:
        below = "" if self.transcript.follows else "↓ End: newest text · "
        above = f"↑ {count_text(self._hidden)} earlier turns · " if self._hidden else ""
        return above + below + _phase_text(self.side)

    def _drawn(self, first: int, end: int) -> list[RenderedTurn]:
        """Turns `first` to `end` of the conversation; those that are drawn already keep their lines."""
        conversation = self.side.conversation
        known = {id(drawn.turn): drawn for drawn in self.transcript.turns}
        drawn = []
        for index, turn in enumerate(conversation.turns[first:end], first):
            versions = conversation.versions(index)
            place = next(number for number, one in enumerate(versions, 1) if one is turn)
            before = known.get(id(turn))
            kept = before is not None and (before.version, before.versions) == (place, len(versions))
            drawn.append(before if before and kept else RenderedTurn(turn, place, len(versions)))
        return drawn

    @property
    def _hidden(self) -> int:
        """How many turns are not drawn."""
        return len(self.side.conversation.turns) - len(self.transcript.turns)

    def _show_notice(self, text: str) -> None:
        notice = self.query_one(".notice", Static)
        if notice.content != text:  # four times a second: a layout pass only for news
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
        return "Looking at the checkpoint."
    index, of = build.position
    return f"Preparing: {build.stages[-1]}" + (f" (stage {index} of {of})." if of else ".")


def _ready_text(build: BuildState | None) -> str:
    if build is None or build.ready is None:
        return "Ready."
    if build.prepared and build.prepared.reused:
        return f"Ready: reused from the store, {seconds_text(build.elapsed)}."
    return f"Ready in {seconds_text(build.elapsed)}."


def _phase_text(side: Side) -> str:
    if side.phase in (Phase.EMPTY, Phase.READY, Phase.FAILED):
        return side.phase.value
    if stalled := side.stalled_seconds:
        return f"stalled {seconds_text(stalled)}: no token came; Esc stops"
    clock = f"{side.phase.value} {seconds_text(time.monotonic() - side.phase_since)}"
    return f"{clock} · {rate_text(side.rate())}" if side.phase is Phase.DECODE else clock

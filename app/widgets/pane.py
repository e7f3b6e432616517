"""One side on the screen: its turns, what it is doing now, and what went wrong."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from app.state.conversation import Turn
from app.state.progress import BuildState
from app.state.series import Phase
from app.state.side import Side
from app.state.stream import displayable
from app.units import rate_text, seconds_text
from app.widgets.folded import FoldedTurn
from app.widgets.turn import TurnView
from engines.worker.protocol import Error

TURNS_SHOWN = 30
"""Older turns are unmounted: each widget on the screen costs every layout about 50 µs."""
EMPTY = "No engine on this side.\n\nPress F2 to choose a checkpoint and a precision."
MEANWHILE = "You can type your prompt meanwhile; F2 shows the progress."


class Pane(VerticalScroll):
    """The conversation of one side."""

    HELP = """\
# A side

Any engine may stand on either side; usually the left is the engine and the right is PyTorch, the
reference. The border says what the side is doing and for how long. Under each answer:

* **TTFT**: time from the prompt to the first token.
* **tok/s**: decode speed, prefill left out.
* **ITL**: gaps between tokens, median and 95th percentile.
"""
    BINDINGS = [Binding("ctrl+e", "earlier", "Earlier turns", show=False, id="pane.earlier")]  # noqa: RUF012

    def __init__(self, side: Side) -> None:
        super().__init__(id=f"pane-{side.name}", classes="pane")
        self.side = side
        self._live: TurnView | None = None
        self.build: BuildState | None = None
        """How the side's engine came to be, or is coming."""

    def compose(self) -> ComposeResult:
        """A notice, then the turns, then what went wrong."""
        with Vertical(classes="turns"):
            yield Static(EMPTY, classes="notice", markup=False)
            yield FailureCard()

    def on_mount(self) -> None:
        """Follow the end of the text until the user scrolls away, and keep the border's clock going."""
        self.anchor()
        self.set_interval(0.25, self.show_phase)
        self.show_phase()

    async def begin(self, turn: Turn) -> None:
        """Mount a new turn and fold the one before."""
        with self.app.batch_update():
            await self._fold()
            self._live = TurnView(turn)
            await self._turns.mount(self._live, before=self.query_one(FailureCard))
            await self._drop_old()
        self.anchor()

    async def replace_last(self, turn: Turn) -> None:
        """Mount a new attempt in the place of the last turn."""
        if views := self._views():
            await views[-1].remove()
            self._live = None
        await self.begin(turn)

    def add_text(self, text: str) -> None:
        """Take text from the engine; it is drawn at the next flush."""
        if self._live:
            self._live.buffer.add(text)

    async def flush(self) -> None:
        """Draw what has come since the last flush."""
        if self._live:
            await self._live.flush()

    async def finish(self) -> None:
        """The answer ended, one way or the other: draw it whole."""
        if self._live:
            with self.app.batch_update():
                await self._live.finish()
        self.show_phase()

    async def show_conversation(self) -> None:
        """Mount the conversation anew: after clear and after swapping sides."""
        self._live = None
        with self.app.batch_update():
            for view in self._views():
                await view.remove()
            turns = [FoldedTurn(turn) for turn in self.side.conversation.turns[-TURNS_SHOWN:]]
            await self._turns.mount(*turns, before=self.query_one(FailureCard))
        self.show_phase()

    async def action_earlier(self) -> None:
        """Mount TURNS_SHOWN more of the older turns."""
        turns = self.side.conversation.turns
        hidden = len(turns) - len(self._views())
        earlier = [FoldedTurn(turn) for turn in turns[max(0, hidden - TURNS_SHOWN) : max(0, hidden)]]
        if earlier:
            await self._turns.mount(*earlier, after=self.query_one(".notice"))
        self.show_phase()

    def show_phase(self) -> None:
        """Say in the border which phase the side is in and for how long."""
        side = self.side
        name = f"{side.name.capitalize()} · {side.title}" if side.title else side.name.capitalize()
        self.border_title = Content(name)
        above = "↓ End: newest text · " if self.max_scroll_y - self.scroll_y > 1 else ""
        self.border_subtitle = Content(above + _phase_text(side))
        self.set_class(side.phase is Phase.FAILED, "-failed")
        self.query_one(FailureCard).show(side.error if side.phase is Phase.FAILED else None)
        self._show_notice(self._notice_text())

    def _show_notice(self, text: str) -> None:
        notice = self.query_one(".notice", Static)
        if notice.content != text:  # four times a second: a layout pass only for news
            notice.display = bool(text)
            notice.update(text)

    def _notice_text(self) -> str:
        side, hidden = self.side, len(self.side.conversation.turns) - len(self._views())
        if hidden > 0:
            return f"{hidden} earlier turns: Ctrl+E shows them."
        if side.conversation.turns:
            return ""
        match side.phase:
            case Phase.EMPTY:
                return EMPTY
            case Phase.PREPARING | Phase.LOADING:
                return f"{_stage_text(self.build)}\n\n{MEANWHILE}"
            case Phase.READY:
                return f"{_ready_text(self.build)}\n\nAsk something below."
        return ""

    async def _fold(self) -> None:
        live, self._live = self._live, None
        if live:
            await self._turns.mount(FoldedTurn(live.turn), after=live)
            await live.remove()

    async def _drop_old(self) -> None:
        for view in self._views()[:-TURNS_SHOWN]:
            await view.remove()

    @property
    def _turns(self) -> Vertical:
        return self.query_one(".turns", Vertical)

    def _views(self) -> list[TurnView | FoldedTurn]:
        return [child for child in self._turns.children if isinstance(child, TurnView | FoldedTurn)]


class FailureCard(Vertical):
    """Why a side has no engine any more, and what to do; not there while all is well."""

    def compose(self) -> ComposeResult:
        """The reason and two buttons."""
        yield Static(classes="failure-text", markup=False)
        with Horizontal(classes="failure-buttons"):
            yield Button("Restart (F9)", variant="error", compact=True, action="screen.restart")
            yield Button("Choose (F2)", compact=True, action="app.prepare")

    def on_mount(self) -> None:
        """All is well."""
        self.display = False
        self._error: Error | None = None

    def show(self, error: Error | None) -> None:
        """Show an error, or nothing."""
        if error is self._error:
            return
        self._error, self.display = error, error is not None
        if error:
            self.query_one(".failure-text", Static).update(displayable(f"✗ {error.message}\n{error.hint}"))


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
    clock = f"{side.phase.value} {seconds_text(time.monotonic() - side.phase_since)}"
    return f"{clock} · {rate_text(side.rate())}" if side.phase is Phase.DECODE else clock

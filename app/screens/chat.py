"""Chat: one prompt, two answers side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Footer, Header

from app.gc_policy import GcPolicy
from app.generation import GenerationRun
from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.conversation_file import Record
from app.state.conversation.turn import Turn
from app.state.settings.presets import sampling_words
from app.state.settings.settings import Settings, TimingMode
from app.state.side import turns
from app.state.side.busy import STILL_ANSWERING, answering, reason_to_wait
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.widgets.chat.composer import Composer
from app.widgets.chat.pane_pair import PanePair
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.panels.panel import Panel
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS, PanelStrip

NOTHING_ASKED = "Nothing has been asked yet."
TIMING_TEXTS = {
    TimingMode.TOGETHER: "both engines at the same time, sharing the machine.",
    TimingMode.IN_TURN: "one engine after the other, each at its full speed.",
}


class ChatScreen(PlaygroundScreen):
    """Home: two panes, the comparison of their speed, the prompt, the panels."""

    TITLE = "Chat"
    CSS_PATH = "../styles/chat.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "PromptInput"
    BINDINGS = [  # noqa: RUF012
        # The footer shows them in this order, and cuts what does not fit.
        Binding("escape", "stop", "Stop", id="chat.stop"),
        Binding("f9", "restart", "Restart", id="chat.restart"),
        Binding("f2", "app.open('prepare')", "Prepare", id="chat.prepare"),
        Binding("f1", "app.open('help')", "Help", id="chat.help"),
        Binding("ctrl+r", "regenerate", "Regenerate", id="chat.regenerate"),
        Binding("ctrl+l", "clear", "Clear", id="chat.clear", priority=True),
        Binding("ctrl+o", "attach", "Attach", id="chat.attach"),
        Binding("ctrl+t", "timing", "Timing", id="chat.timing", show=False),
        Binding("ctrl+x", "swap", "Swap", id="chat.swap", show=False, priority=True),
        Binding("ctrl+y", "copy", "Copy", id="chat.copy", show=False, priority=True),
        Binding("ctrl+g", "panels", "Panels", id="chat.panels", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._gc_policy = GcPolicy()
        self._attach_folder = ""
        """Folder of the last attached file, where the file dialog opens next."""
        self._warned = "", 0.0
        """The last warning, and when."""
        self._shows_restart = False
        """Whether the footer shows the key that restarts."""
        self._draws_fast = False
        """Whether tokens arrived fast at the last snapshot."""

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.playground.sides

    @property
    def composer(self) -> Composer:
        """Where prompts are written."""
        return self.query_one(Composer)

    @property
    def panes(self) -> PanePair:
        """The two sides."""
        return self.query_one(PanePair)

    def compose(self) -> ComposeResult:
        """Create the parts, from top to bottom."""
        yield Header()
        yield PanePair(*self.sides, id="panes")
        yield SpeedComparison(id="comparison")
        yield Composer(id="composer")
        yield PanelStrip(self.playground.snapshots, id="panels")
        yield Footer(compact=True)

    async def on_mount(self) -> None:
        """Follow the sides; show a saved conversation."""
        app = self.playground
        self.panes.show_conversations()
        # Immediate, and so before the panels draw: they and the panes then share one update of the screen.
        app.snapshots.subscribe(self, self._on_snapshot, immediate=True)
        app.side_changed.subscribe(self, self._show_side)
        app.build_changed.subscribe(self, lambda _: self.panes.show_builds())
        app.settings_changed.subscribe(self, self._show_settings)
        self._show_settings(app.settings)
        self.panes.show_builds()  # of engines that began to be built on Prepare
        self.call_after_refresh(self._gc_policy.collect_and_freeze)

    def _show_side(self, side: Side) -> None:
        self.panes.pane(side).show_phase()
        failed = any(one.phase is Phase.FAILED for one in self.sides)
        if failed != self._shows_restart:  # refreshing mounts the footer's keys again, which takes 30 ms
            self._shows_restart = failed
            self.refresh_bindings()

    def _show_settings(self, settings: Settings) -> None:
        """Timing mode and sampling determine every figure, so they are in the header."""
        self.sub_title = " · ".join(
            filter(None, (f"timing {settings.timing.value}", sampling_words(settings)))
        )
        strip = self.query_one(PanelStrip)
        strip.shown = settings.panels
        strip.fold(settings.folded)

    def _on_snapshot(self, _: Snapshot) -> None:
        fast = self.panes.is_busy
        self.panes.show_phases()
        if fast:
            self.panes.flush()
        if fast != self._draws_fast:
            self._draws_fast = fast
            self.query_one(PromptInput).cursor_blink = not fast

    def show_conversations(self) -> None:
        """Show the sides' conversations after others were opened."""
        self.call_later(self.composer.leave_edit)
        self.composer.recount()
        self.panes.show_conversations()
        self.show_comparison()

    def show_comparison(self) -> None:
        """Compare the last answers of both sides."""
        last = [side.conversation.turns[-1] if side.conversation.turns else None for side in self.sides]
        self.query_one(SpeedComparison).compare(last[0], last[1])

    @on(Panel.Folded)
    def keep_folds(self) -> None:
        """Save which panels are folded."""
        self.playground.change_settings(folded=self.query_one(PanelStrip).folded)

    @on(Composer.Sent)
    async def send(self, event: Composer.Sent) -> None:
        """Send a prompt to every side that has an engine."""
        if not self.composer.holds(event) or self._must_wait():
            return
        edited = self.composer.edited
        await self.composer.accept(event.text)
        self.answer(turns.begin(self.sides, event.text, event.attachments, edited))

    def action_regenerate(self) -> None:
        """Answer the last prompt again: on the sides that failed, or else on both."""
        if not self._must_wait():
            self._regenerate(turns.last_turns(self.sides))

    @on(Transcript.RegenerateRequested)
    def regenerate_turn(self, event: Transcript.RegenerateRequested) -> None:
        """Answer an earlier prompt again, on every side that was asked it."""
        if not self._must_wait():
            self._regenerate(turns.indices_by_side(event.turn, self.sides))

    def _regenerate(self, indices: dict[Side, int]) -> None:
        if begun := turns.begin_again(indices):
            self.answer(begun)
        else:
            self.notify(NOTHING_ASKED)

    @work(group="answer", exclusive=True, exit_on_error=False)
    async def answer(self, begun: dict[Side, Turn]) -> None:
        """Let each side answer its turn."""
        app = self.playground
        self.query_one(SpeedComparison).display = False
        await GenerationRun(begun, self.panes, app.settings, app.engine, app.history, app.energy).run()
        self.show_comparison()
        self.call_after_refresh(self._gc_policy.collect_and_freeze)

    async def action_stop(self) -> None:
        """End the answers within one step; or leave an edit."""
        if not answering(self.sides):
            await self.composer.leave_edit()
        for side in self.sides:
            await self.playground.engine(side).stop()

    def _must_wait(self, *, to_ask: bool = True) -> bool:
        """Return whether a side is busy, or has no engine to ask; warn if so."""
        if why := reason_to_wait(self.sides, to_ask=to_ask):
            self._warn(why)
        return bool(why)

    def must_wait_for_answer(self) -> bool:
        """Return whether a side is answering; warn if so."""
        if answering(self.sides):
            self._warn(STILL_ANSWERING)
        return answering(self.sides)

    def _warn(self, why: str) -> None:
        """Show a toast, unless the same one is still shown: keys are pressed repeatedly while one waits."""
        last, when = self._warned
        if why != last or time.monotonic() - when >= self.app.NOTIFICATION_TIMEOUT:
            self._warned = why, time.monotonic()
            self.notify(why, severity="warning")

    @on(Transcript.EditRequested)
    async def edit(self, event: Transcript.EditRequested) -> None:
        """Put an earlier prompt back into the box."""
        if not self._must_wait(to_ask=False):
            await self.composer.edit(event.turn)

    async def action_edit_last(self) -> None:
        """Edit the last prompt of the focused side, or of the left one."""
        if asked := self.panes.focused_side.conversation.turns:
            await self.edit(Transcript.EditRequested(asked[-1]))
        else:
            self.notify(NOTHING_ASKED)

    @on(Transcript.VersionRequested)
    async def show_version(self, event: Transcript.VersionRequested) -> None:
        """Show an older or newer version of a turn on its side."""
        if self._must_wait(to_ask=False):
            return
        side = turns.side_of(event.turn, self.sides)
        number = turns.neighbouring_version(event.turn, side, event.step)
        if number is not None:
            side.conversation.choose(number)
            with contextlib.suppress(OSError):  # reported when a turn is saved
                await asyncio.to_thread(self.playground.history.append_choice, side.name, number)
            self.panes.pane(side).show_again()
            self.show_comparison()
            self.composer.recount()

    def action_copy(self) -> None:
        """Copy the last answer of the focused side, or of the left one."""
        self.panes.copy_last_answer()

    async def action_clear(self) -> None:
        """Start a new conversation on both sides."""
        if not self.must_wait_for_answer():
            self.playground.open_conversation(Record(), None)
            self.show_conversations()

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write the conversation as Markdown or JSON."""
        from app.screens.export import export_shown

        if not any(side.conversation.turns for side in self.sides):
            self.notify(NOTHING_ASKED)
        elif not self.must_wait_for_answer():
            await export_shown(self.app, self.sides, self.playground.history.path)

    async def action_swap(self) -> None:
        """Exchange left and right."""
        if self._must_wait(to_ask=False):
            return
        with contextlib.suppress(OSError):  # reported when a turn is saved
            await asyncio.to_thread(self.playground.history.append_swap)
        self.playground.swap()
        self.panes.exchange(*self.sides)
        self.show_comparison()
        self.composer.recount()

    def action_restart(self) -> None:
        """Open the engines of failed sides again."""
        self.playground.restart_failed()

    def action_timing(self) -> None:
        """Switch between answering together and in turn."""
        together = self.playground.settings.timing is TimingMode.IN_TURN
        mode = TimingMode.TOGETHER if together else TimingMode.IN_TURN
        self.playground.change_settings(timing=mode)
        self.notify(f"Timing {mode.value}: {TIMING_TEXTS[mode]}")

    def action_panels(self) -> None:
        """Show or hide the panels."""
        strip = self.query_one(PanelStrip)
        strip.toggle()
        self.playground.change_settings(panels=strip.shown)

    @work(group="attach", exclusive=True, exit_on_error=False)
    async def action_attach(self) -> None:
        """Choose a file that is sent with the prompt."""
        from app.screens.attach import AttachScreen

        screen = AttachScreen(self._attach_folder)
        if chosen := await self.app.push_screen_wait(screen):
            self._attach_folder = screen.folder
            await self.composer.attach(chosen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show keys only when they do something; Ctrl+X stays *cut* while text is selected in the prompt."""
        if action == "stop":
            return self.maximized is None  # otherwise Esc leaves the full screen
        if action == "restart":
            return any(side.phase is Phase.FAILED for side in self.sides)
        if action == "swap":
            return not self.composer.box.selected_text
        return True

"""What stands in the chat: two sides, the prompt, panels; and how it follows the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Header
from textual.worker import Worker

from app.gc_policy import GcPolicy
from app.state.settings.presets import sampling_words
from app.state.settings.settings import Settings
from app.state.side.pacing import BUSY_RATE
from app.state.side.side import Side
from app.state.side.snapshot import Phase, Snapshot
from app.widgets.chat.composer import Composer
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.panels.panel import Panel
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS, PanelStrip

if TYPE_CHECKING:
    from app.playground import Playground


class ChatView(Screen[None]):
    """Shows both conversations; what is done with them is the chat's."""

    TITLE = "Chat"
    CSS_PATH = "../styles/chat.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "PromptInput"
    app: Playground
    _failed = False
    """Whether the footer shows the key that restarts."""

    def compose(self) -> ComposeResult:
        """Two panes, the verdict, the prompt, the panels."""
        yield Header()
        with Horizontal(id="panes"):
            yield Pane(self.app.left)
            yield Pane(self.app.right)
        yield SpeedComparison(id="comparison")
        yield Composer(id="composer")
        yield PanelStrip(self.app.snapshots, id="panels")
        yield Footer(compact=True)

    async def on_mount(self) -> None:
        """Follow the sides; show what a saved conversation holds."""
        for pane in self.query(Pane):
            pane.show_conversation()
        # At once, and so before the panels draw: they and the panes then share one update of the screen.
        self.app.snapshots.subscribe(self, self._on_beat, immediate=True)
        self.app.side_changed.subscribe(self, self.show_side)
        self.app.build_changed.subscribe(self, self.show_build)
        self.app.settings_changed.subscribe(self, self.show_settings)
        self.show_settings(self.app.settings)
        self.show_build("")  # of engines that began to be built on Prepare
        self.garbage = GcPolicy()
        self.call_after_refresh(self.garbage.collect_and_freeze)

    def show_side(self, side: Side) -> None:
        """A side entered another phase."""
        self.pane(side).show_phase()
        failed = any(one.phase is Phase.FAILED for one in self.app.sides)
        if failed != self._failed:  # the footer mounts its keys anew: 30 ms that another phase is not worth
            self._failed = failed
            self.refresh_bindings()

    def show_build(self, _: str) -> None:
        """An engine is one step nearer."""
        for pane in self.query(Pane):
            pane.build = self.app.builds.get(pane.side.name)
            pane.show_phase()

    def show_settings(self, settings: Settings) -> None:
        """Timing mode and sampling belong to every figure, so they stand in the header."""
        self.sub_title = " · ".join(
            filter(None, (f"timing {settings.timing.value}", sampling_words(settings)))
        )
        strip = self.query_one(PanelStrip)
        strip.shown = settings.panels
        strip.fold(settings.folded)

    @on(Panel.Folded)
    def keep_folds(self) -> None:
        """Remember which panels are folded."""
        self.app.change_settings(folded=self.query_one(PanelStrip).folded)

    def pane(self, side: Side) -> Pane:
        """The pane that shows `side`."""
        return next(pane for pane in self.query(Pane) if pane.side is side)

    @property
    def composer(self) -> Composer:
        """Where prompts are written."""
        return self.query_one(Composer)

    @property
    def focused_side(self) -> Side:
        """The side that has the focus, else the left one."""
        return next((pane.side for pane in self.query(Pane) if pane.has_focus_within), self.app.left)

    def show_conversations(self) -> None:
        """Both sides hold another conversation: show it."""
        self.call_later(self.composer.leave_edit)
        self.composer.recount()
        for pane in self.query(Pane):
            pane.show_conversation()
        self.show_verdict()

    def show_verdict(self) -> None:
        """Compare the last answers of both sides."""
        last = [side.conversation.turns[-1] if side.conversation.turns else None for side in self.app.sides]
        self.query_one(SpeedComparison).compare(last[0], last[1])

    @property
    def is_busy(self) -> bool:
        """Whether tokens come so fast that every update of the screen is felt by the engines."""
        return sum(side.rate() for side in self.app.sides) > BUSY_RATE

    def _on_beat(self, _: Snapshot) -> None:
        busy = self.is_busy
        for pane in self.query(Pane):
            pane.show_phase()
            if busy:
                pane.flush()
        self.query_one(PromptInput).cursor_blink = not busy

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Workers tell the node that started them, and nobody else."""
        self.app.on_worker_state_changed(event)

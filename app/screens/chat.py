"""Chat: one prompt, two answers side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import ScreenResume

from app.gc_policy import GcPolicy
from app.generation import GenerationRun
from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.conversation_file import Record
from app.state.conversation.turn import Turn
from app.state.prepare.side_gpu import on_own_gpus
from app.state.settings.presets import sampling_words
from app.state.settings.settings import ContextFull, Settings, TimingMode
from app.state.side import turns
from app.state.side.busy import STILL_ANSWERING, answering, reason_to_wait
from app.state.side.model_words import model_words
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.widgets.chat.composer import Composer
from app.widgets.chat.failure_card import FailureCard
from app.widgets.chat.pane import Pane
from app.widgets.chat.pane_pair import PanePair
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.stage import Stage
from app.widgets.chat.stage_figures import StageFigures, StageTitle
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.key_footer import KeyFooter
from app.widgets.panels.kv_blocks import KVBlocksPanel
from app.widgets.panels.panel import Panel
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS, PanelStrip
from app.widgets.tab_header import TabHeader

NOTHING_ASKED = "Nothing has been asked yet."
FAILED_MEANWHILE = "A side has failed. What was queued is back in the prompt."
TIMING_TEXTS = {
    TimingMode.TOGETHER: "both engines at the same time, sharing the machine.",
    TimingMode.IN_TURN: "one engine after the other, each at its full speed.",
}
OWN_GPUS = "both engines at the same time, each at its full speed on its own GPU."


class ChatScreen(PlaygroundScreen):
    """Home: two panes, the comparison of their speed, the prompt, the panels."""

    TITLE = "Chat"
    CSS_PATH = ["../styles/chat.tcss", "../styles/stage.tcss"]  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "PromptInput"
    BINDINGS = [  # noqa: RUF012
        # The footer shows them in this order, and leaves out what does not fit.
        Binding("escape", "stop", "Stop", id="chat.stop"),
        Binding("ctrl+r", "regenerate", "Regenerate", id="chat.regenerate"),
        Binding("ctrl+t", "timing", "Timing", id="chat.timing"),
        Binding("ctrl+x", "swap", "Swap", id="chat.swap", priority=True),
        Binding("ctrl+y", "copy", "Copy", id="chat.copy", priority=True),
        Binding("ctrl+g", "panels", "Panels", id="chat.panels"),
        Binding("ctrl+o", "attach", "Attach", id="chat.attach"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._gc_policy = GcPolicy()
        self._attach_folder = ""
        """Folder of the last attached file, where the file dialog opens next."""
        self._warned = "", 0.0
        """The last warning, and when."""
        self._draws_fast = False
        """Whether tokens arrived fast at the last snapshot."""
        self.stage = Stage(self)

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
        yield TabHeader("chat")
        yield StageTitle(id="stage-title", markup=False)
        yield PanePair(*self.sides, id="panes")
        yield StageFigures(id="stage-figures")
        yield SpeedComparison(id="comparison")
        yield Composer(id="composer")
        yield PanelStrip(self.playground.snapshots, id="panels")
        yield KeyFooter()

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
        self.panes.show_builds()  # of engines that began to be built on Models
        self.call_after_refresh(self._gc_policy.collect_and_freeze)

    @on(ScreenResume)
    def catch_up(self) -> None:
        """Show what has happened below another screen: measures, and versions such as a branch."""
        for strip in self.query(PanelStrip):  # none while it is composed
            strip.show_newest()
        if any(pane.is_stale for pane in self.query(Pane)):
            self.show_conversations()

    @on(FailureCard.OpenLog)
    def open_log(self, event: FailureCard.OpenLog) -> None:
        """Show the log of a side's worker."""
        from app.screens.log import LogScreen

        self.app.push_screen(LogScreen(event.path))

    def _show_side(self, side: Side) -> None:
        self.panes.show_phases()
        self.stage.draw()
        self._show_about()
        self.refresh_bindings()  # F9 is shown while a side has failed

    def _show_settings(self, settings: Settings) -> None:
        """Show the model and what else determines every figure in the header; show and fold the panels."""
        self._show_about()
        strip = self.query_one(PanelStrip)
        strip.shown = settings.panels and not self.on_stage
        strip.fold(settings.folded)
        self.query_one(KVBlocksPanel).trims = settings.context_full is ContextFull.TRIM

    def _show_about(self) -> None:
        settings = self.playground.settings
        words = (model_words(self.sides), settings.timing.value, sampling_words(settings))
        self.about = " · ".join(filter(None, words))
        self.show_unsaved()

    def _on_snapshot(self, _: Snapshot) -> None:
        fast = self.panes.is_busy
        self.panes.show_phases()
        self.stage.draw()
        if fast:
            self.panes.flush()
        if fast != self._draws_fast:
            self._draws_fast = fast
            self.query_one(PromptInput).cursor_blink = not fast

    def keep_typed_text(self) -> None:
        """Save the draft."""
        self.composer.save_now()

    def show_conversations(self) -> None:
        """Show the sides' conversations after others were opened."""
        self.call_later(self.composer.leave_edit)
        self.composer.recount()
        self.panes.show_conversations()
        self.show_comparison()

    def show_comparison(self) -> None:
        """Compare the answers of both sides."""
        self.query_one(SpeedComparison).compare(*self.sides)
        self.stage.draw()

    @property
    def on_stage(self) -> bool:
        """Whether the answers, large figures and the headline are shown alone, for an audience."""
        return self.stage.shown

    @on(Panel.Folded)
    def keep_folds(self) -> None:
        """Save which panels are folded."""
        self.playground.change_settings(folded=self.query_one(PanelStrip).folded)

    @on(Composer.Sent)
    async def send(self, event: Composer.Sent) -> None:
        """Send a prompt to every side that has an engine, or queue it while a side answers."""
        if not self.composer.holds(event):
            return
        if self.composer.queued or (answering(self.sides) and not self.composer.edited):
            await self.composer.enqueue()
            return
        if self._must_wait():
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
        """Let each side answer its turn, and then the prompts that were queued meanwhile."""
        while begun:
            failed = _failed(self.sides)
            await self._answer(begun)
            begun = await self._begin_queued(_failed(self.sides) - failed)

    async def _begin_queued(self, failed: set[str]) -> dict[Side, Turn]:
        """Begin the next queued prompt; if it cannot be answered, put all back into the composer.

        Args:
            failed: names of the sides that failed since it was queued: the user decides what to do then.
        """
        composer = self.composer
        if not composer.queued:
            return {}
        if why := reason_to_wait(self.sides, to_ask=True) or (FAILED_MEANWHILE if failed else ""):
            await composer.take_back()
            self._warn(why)
            return {}
        draft = composer.next_queued()
        return turns.begin(self.sides, draft.text, draft.attachments)

    async def _answer(self, begun: dict[Side, Turn]) -> None:
        app = self.playground
        self.panes.stop_shading()
        self.query_one(SpeedComparison).display = False
        await GenerationRun(
            begun, self.panes, app.settings, app.engine, app.history, app.energy, app.sampler.busy_percent
        ).run()
        self.show_comparison()
        self.call_after_refresh(self._gc_policy.collect_and_freeze)
        self.panes.shade_answers(begun)

    async def action_stop(self) -> None:
        """End the answers within one step, take queued prompts back; or leave an edit, or the stage."""
        await self.composer.take_back()
        if not answering(self.sides):
            if self.on_stage and not self.composer.edited:
                self.stage.show(False)
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

    @on(Transcript.CompareRequested)
    async def compare(self, event: Transcript.CompareRequested) -> None:
        """Compare the engines on a turn, token by token."""
        from app.screens.compare import CompareScreen

        await self.app.push_screen(CompareScreen(self.playground, event.turn))

    def action_shade(self) -> None:
        """Shade the last answers by the probability of their tokens, or show the text of all."""
        if asked := self.panes.focused_side.conversation.turns:
            self.panes.toggle_shades(Transcript.ShadesRequested(asked[-1], self.panes.shades))
        else:
            self.notify(NOTHING_ASKED)

    def action_copy(self) -> None:
        """Copy the last answer of the focused side, or of the left one."""
        self.panes.copy_last_answer()

    async def action_new_conversation(self) -> None:
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
            app = self.playground
            await export_shown(self.app, self.sides, app.votes, app.history.path)

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

    def action_timing(self) -> None:
        """Switch between answering together and in turn."""
        together = self.playground.settings.timing is TimingMode.IN_TURN
        mode = TimingMode.TOGETHER if together else TimingMode.IN_TURN
        self.playground.change_settings(timing=mode)
        apart = mode is TimingMode.TOGETHER and on_own_gpus(*(side.spec for side in self.sides))
        self.notify(f"Timing {mode.value}: {OWN_GPUS if apart else TIMING_TEXTS[mode]}")

    def action_lock_scroll(self) -> None:
        """Let both sides scroll to the same place of the same turn, or each on its own."""
        together = not self.playground.settings.scroll_together
        self.playground.change_settings(scroll_together=together)
        if together:
            self.panes.align()
        self.notify("Both sides scroll together." if together else "Each side scrolls on its own.")

    def action_panels(self) -> None:
        """Hide the panels, then show the stage, then the panels again."""
        if self.on_stage:
            self.stage.show(False)
            self.playground.change_settings(panels=True)
        elif self.playground.settings.panels:
            self.playground.change_settings(panels=False)
        else:
            self.stage.show(True)

    def action_stage(self) -> None:
        """Show the stage, or everything again."""
        self.stage.show(not self.on_stage)

    @work(group="attach", exclusive=True, exit_on_error=False)
    async def action_attach(self) -> None:
        """Choose a file that is sent with the prompt."""
        from app.screens.attach import AttachScreen

        screen = AttachScreen(self._attach_folder)
        if chosen := await self.app.push_screen_wait(screen):
            self._attach_folder = screen.folder
            await self.composer.attach(chosen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show keys only when they do something.

        In the prompt, Ctrl+X stays *cut* while text is selected, and Ctrl+Y *redo* after an undo.
        """
        if action == "stop":
            return self.maximized is None  # otherwise Esc leaves the full screen
        if action == "swap":
            return not any(box.selected_text for box in self.query(PromptInput))  # none while it is composed
        if action == "copy":
            return not any(box.has_focus and box.can_redo for box in self.query(PromptInput))
        return True


def _failed(sides: tuple[Side, ...]) -> set[str]:
    return {side.name for side in sides if side.phase is Phase.FAILED}

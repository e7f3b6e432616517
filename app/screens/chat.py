"""Chat: one prompt, two answers side by side, panels below."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Header
from textual.worker import Worker

from app.answering import Answering
from app.garbage import Garbage
from app.state.conversation import Turn
from app.state.history import Record, read_record
from app.state.pairing import index_of, places, side_of
from app.state.presets import sampling_words
from app.state.series import Phase, Snapshot
from app.state.settings import Settings, TimingMode
from app.state.side import Side
from app.state.waiting import STILL_ANSWERING, answering, reason_to_wait
from app.widgets.composer import Composer
from app.widgets.pane import Pane
from app.widgets.panel import Panel
from app.widgets.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS, PanelStrip
from app.widgets.transcript.transcript import Transcript
from app.widgets.verdict import Verdict

if TYPE_CHECKING:
    from app.playground import Playground


class ChatScreen(Screen[None]):
    """Home."""

    TITLE = "Chat"
    CSS_PATH = "../styles/chat.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "Prompt"
    BINDINGS = [  # noqa: RUF012
        # The footer shows them in this order, and cuts what has no room.
        Binding("escape", "stop", "Stop", id="chat.stop"),
        Binding("f9", "restart", "Restart", id="chat.restart"),
        Binding("f2", "app.prepare", "Prepare", id="chat.prepare"),
        Binding("f1", "app.help", "Help", id="chat.help"),
        Binding("ctrl+r", "regenerate", "Regenerate", id="chat.regenerate"),
        Binding("ctrl+l", "clear", "Clear", id="chat.clear", priority=True),
        Binding("ctrl+o", "attach", "Attach", id="chat.attach"),
        Binding("ctrl+t", "timing", "Timing", id="chat.timing", show=False),
        Binding("ctrl+x", "swap", "Swap", id="chat.swap", show=False, priority=True),
        Binding("ctrl+y", "copy", "Copy", id="chat.copy", show=False, priority=True),
        Binding("ctrl+g", "panels", "Panels", id="chat.panels", show=False),
    ]
    app: Playground
    _failed = False
    """Whether the footer shows the key that restarts."""
    _told = "", 0.0
    """What the last warning said, and when."""

    def compose(self) -> ComposeResult:
        """Two panes, the verdict, the prompt, the panels."""
        yield Header()
        with Horizontal(id="panes"):
            yield Pane(self.app.left)
            yield Pane(self.app.right)
        yield Verdict(id="verdict")
        yield Composer(id="composer")
        yield PanelStrip(self.app.snapshots, id="panels")
        yield Footer(compact=True)

    async def on_mount(self) -> None:
        """Follow the sides; show what a saved conversation holds."""
        for pane in self.query(Pane):
            pane.show_conversation()
        self.beat = asyncio.Event()
        self.app.snapshots.subscribe(self, self._on_beat)
        self.app.side_changed.subscribe(self, self.show_side)
        self.app.build_changed.subscribe(self, self.show_build)
        self.app.settings_changed.subscribe(self, self.show_settings)
        self.show_settings(self.app.settings)
        self.show_build("")  # of engines that began to be built on Prepare
        self._garbage = Garbage()
        self.call_after_refresh(self._garbage.settle)

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
    def answering(self) -> bool:
        """Whether an answer is under way on any side."""
        return answering(self.app.sides)

    @property
    def composer(self) -> Composer:
        """Where prompts are written."""
        return self.query_one(Composer)

    @on(Composer.Sent)
    async def send(self, event: Composer.Sent) -> None:
        """One prompt to every side that has an engine."""
        if not self.composer.holds(event) or self._must_wait():
            return
        edited = self.composer.edited
        again = places(edited, self.app.sides) if edited else {}
        await self.composer.accept(event.text)
        self.answer(
            {
                side: side.conversation.begin_again(side.title, again[side], event.text, event.attachments)
                if side in again
                else side.conversation.begin(event.text, side.title, event.attachments)
                for side in (again or self._present())
            }
        )

    def _must_wait(self, *, to_ask: bool = True) -> bool:
        """Whether a side is busy, or nobody is there to answer; says so, and that the prompt is kept."""
        if why := reason_to_wait(self.app.sides, to_ask=to_ask):
            self._tell_once(why)
        return bool(why)

    def _tell_once(self, why: str) -> None:
        """A toast, unless the same one is still there: keys are pressed again and again while one waits."""
        now = time.monotonic()
        if (why, True) != (self._told[0], now - self._told[1] < self.app.NOTIFICATION_TIMEOUT):
            self._told = why, now
            self.notify(why, severity="warning")

    def action_regenerate(self) -> None:
        """Answer the last prompt again: on the sides that failed, or else on both."""
        if self._must_wait():
            return
        present = {side: -1 for side in self._present() if side.conversation.turns}
        failed = {side: -1 for side in present if side.conversation.turns[-1].error}
        self._again(failed or present)

    @on(Transcript.AgainWanted)
    def again(self, event: Transcript.AgainWanted) -> None:
        """Answer an earlier prompt again, on every side that was asked it."""
        if not self._must_wait():
            self._again(places(event.turn, self.app.sides))

    def _again(self, indices: dict[Side, int]) -> None:
        turns = {side: side.conversation.begin_again(side.title, index) for side, index in indices.items()}
        if begun := {side: turn for side, turn in turns.items() if turn}:
            self.answer(begun)
        else:
            self.notify("Nothing has been asked yet.")

    @on(Transcript.EditWanted)
    async def edit(self, event: Transcript.EditWanted) -> None:
        """Put an earlier prompt back into the box."""
        if not self._must_wait(to_ask=False):
            await self.composer.edit(event.turn)

    async def action_edit_last(self) -> None:
        """Edit the last prompt of the focused side, else of the left one."""
        if turns := self._focused_side().conversation.turns:
            await self.edit(Transcript.EditWanted(turns[-1]))
        else:
            self.notify("Nothing has been asked yet.")

    def _focused_side(self) -> Side:
        return next((pane.side for pane in self.query(Pane) if pane.has_focus_within), self.app.left)

    @on(Transcript.VersionWanted)
    async def show_version(self, event: Transcript.VersionWanted) -> None:
        """Show an older or newer version of a turn, on the side where it was asked for."""
        if self._must_wait(to_ask=False):
            return
        side = side_of(event.turn, self.app.sides)
        index = index_of(event.turn, side.conversation)
        assert index is not None
        versions = side.conversation.versions(index)
        wanted = next(place for place, one in enumerate(versions) if one is event.turn) + event.step
        if 0 <= wanted < len(versions):
            number = side.conversation.number(versions[wanted])
            side.conversation.choose(number)
            with contextlib.suppress(OSError):  # said when a turn is written
                await asyncio.to_thread(self.app.history.chose, side.name, number)
            self.pane(side).show_again()
            self._show_verdict()
            self.composer.recount()

    @work(group="answer", exclusive=True, exit_on_error=False)
    async def answer(self, turns: dict[Side, Turn]) -> None:
        """Let each side answer its turn."""
        self.query_one(Verdict).display = False
        await Answering(self, turns).run()
        self._show_verdict()
        self.call_after_refresh(self._garbage.settle)

    def _on_beat(self, _: Snapshot) -> None:
        for pane in self.query(Pane):
            pane.show_phase()
        self.beat.set()
        self.beat.clear()

    def _show_verdict(self) -> None:
        last = [side.conversation.turns[-1] if side.conversation.turns else None for side in self.app.sides]
        self.query_one(Verdict).compare(last[0], last[1])

    async def action_stop(self) -> None:
        """End the answers within one step; or leave an edit."""
        if not self.answering:
            await self.composer.leave_edit()
        for side in self.app.sides:
            await side.stop()

    async def action_clear(self) -> None:
        """Begin anew on both sides."""
        if not self.must_wait_for_answer():
            self.app.go_on_with(Record(), None)
            self.show_conversations()

    def must_wait_for_answer(self) -> bool:
        """Whether a side answers; says so."""
        if self.answering:
            self._tell_once(STILL_ANSWERING)
        return self.answering

    def show_conversations(self) -> None:
        """Both sides hold another conversation: show it."""
        self.call_later(self.composer.leave_edit)
        self.composer.recount()
        for pane in self.query(Pane):
            pane.show_conversation()
        self._show_verdict()

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write the conversation as Markdown or JSON."""
        from app.screens.export import ask_and_export

        record = Record({side.name: side.conversation for side in self.app.sides})
        if not record.title:
            self.notify("Nothing has been said yet.")
        elif not self.must_wait_for_answer():
            if path := self.app.history.path:
                with contextlib.suppress(OSError):  # then the first prompt is its title
                    record.name = (await asyncio.to_thread(read_record, path)).name
            await ask_and_export(self.app, record)

    async def action_swap(self) -> None:
        """Let the sides change places."""
        if self._must_wait(to_ask=False):
            return
        self.app.swap()
        with contextlib.suppress(OSError):  # said when a turn is written
            self.app.history.swapped()
        panes = list(self.query(Pane))
        for pane, side in zip(panes, self.app.sides, strict=True):
            pane.side = side
        self.show_build("")
        for pane in panes:
            pane.show_conversation()
        self._show_verdict()
        self.composer.recount()

    def action_timing(self) -> None:
        """Together, or in turn."""
        together = self.app.settings.timing is TimingMode.IN_TURN
        self.app.change_settings(timing=TimingMode.TOGETHER if together else TimingMode.IN_TURN)
        why = (
            "both engines at once, sharing the machine."
            if together
            else "one engine after the other, each at its own speed."
        )
        self.notify(f"Timing {self.app.settings.timing.value}: {why}")

    def action_panels(self) -> None:
        """Show or hide the panels."""
        strip = self.query_one(PanelStrip)
        strip.toggle()
        self.app.change_settings(panels=strip.shown)

    def action_attach(self) -> None:
        """Choose a file that goes with the prompt."""
        self.composer.choose_file()

    def action_copy(self) -> None:
        """Copy the last answer: of the focused side, else of the left one."""
        focused = self._focused_side()
        answered = [turn for turn in focused.conversation.turns if turn.answered]
        if answered:
            self.app.copy_to_clipboard(answered[-1].answer)
            self.notify(f"Copied the last answer of the {focused.name} side.")
        else:
            self.notify("There is no answer to copy yet.")

    def action_restart(self) -> None:
        """Start the engines of failed sides again."""
        self.app.restart_failed()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Workers tell the node that started them, and nobody else."""
        self.app.on_worker_state_changed(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show keys only when they do something; Ctrl+X stays *cut* while text is selected in the prompt."""
        if action == "stop":
            return self.maximized is None  # else it leaves the full screen
        if action == "restart":
            return any(side.phase is Phase.FAILED for side in self.app.sides)
        if action == "swap":
            return not self.composer.box.selected_text
        return True

    def _present(self) -> list[Side]:
        return [side for side in self.app.sides if side.phase is not Phase.EMPTY]

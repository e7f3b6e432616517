"""Chat: one prompt, two answers side by side. What the keys do with the conversation."""

from __future__ import annotations

import asyncio
import contextlib
import time

from textual import on, work
from textual.binding import Binding

from app.generation import GenerationRun
from app.screens.chat_view import ChatView
from app.state.conversation.alignment import index_of, indices_by_side, side_of
from app.state.conversation.conversation import Turn
from app.state.conversation.conversation_file import Record, read_record
from app.state.settings.settings import TimingMode
from app.state.side.busy import STILL_ANSWERING, answering, reason_to_wait
from app.state.side.side import Side
from app.state.side.snapshot import Phase
from app.widgets.chat.composer import Composer
from app.widgets.chat.pane import Pane
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.panels.panel_strip import PanelStrip


class ChatScreen(ChatView):
    """Home."""

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
    _told = "", 0.0
    """What the last warning said, and when."""

    @property
    def answering(self) -> bool:
        """Whether an answer is under way on any side."""
        return answering(self.app.sides)

    @on(Composer.Sent)
    async def send(self, event: Composer.Sent) -> None:
        """One prompt to every side that has an engine."""
        if not self.composer.holds(event) or self._must_wait():
            return
        edited = self.composer.edited
        again = indices_by_side(edited, self.app.sides) if edited else {}
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

    @on(Transcript.RegenerateRequested)
    def again(self, event: Transcript.RegenerateRequested) -> None:
        """Answer an earlier prompt again, on every side that was asked it."""
        if not self._must_wait():
            self._again(indices_by_side(event.turn, self.app.sides))

    def _again(self, indices: dict[Side, int]) -> None:
        turns = {side: side.conversation.begin_again(side.title, index) for side, index in indices.items()}
        if begun := {side: turn for side, turn in turns.items() if turn}:
            self.answer(begun)
        else:
            self.notify("Nothing has been asked yet.")

    @on(Transcript.EditRequested)
    async def edit(self, event: Transcript.EditRequested) -> None:
        """Put an earlier prompt back into the box."""
        if not self._must_wait(to_ask=False):
            await self.composer.edit(event.turn)

    async def action_edit_last(self) -> None:
        """Edit the last prompt of the focused side, else of the left one."""
        if turns := self.focused_side.conversation.turns:
            await self.edit(Transcript.EditRequested(turns[-1]))
        else:
            self.notify("Nothing has been asked yet.")

    @on(Transcript.VersionRequested)
    async def show_version(self, event: Transcript.VersionRequested) -> None:
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
                await asyncio.to_thread(self.app.history.append_choice, side.name, number)
            self.pane(side).show_again()
            self.show_verdict()
            self.composer.recount()

    @work(group="answer", exclusive=True, exit_on_error=False)
    async def answer(self, turns: dict[Side, Turn]) -> None:
        """Let each side answer its turn."""
        self.query_one(SpeedComparison).display = False
        await GenerationRun(self, turns).run()
        self.show_verdict()
        self.call_after_refresh(self.garbage.settle)

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
        with contextlib.suppress(OSError):  # said when a turn is written
            await asyncio.to_thread(self.app.history.append_swap)
        self.app.swap()
        panes = list(self.query(Pane))
        for pane, side in zip(panes, self.app.sides, strict=True):
            pane.side = side
        self.show_build("")
        for pane in panes:
            pane.show_conversation()
        self.show_verdict()
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
        focused = self.focused_side
        answered = [turn for turn in focused.conversation.turns if turn.answered]
        if answered:
            self.app.copy_to_clipboard(answered[-1].answer)
            self.notify(f"Copied the last answer of the {focused.name} side.")
        else:
            self.notify("There is no answer to copy yet.")

    def action_restart(self) -> None:
        """Start the engines of failed sides again."""
        self.app.restart_failed()

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

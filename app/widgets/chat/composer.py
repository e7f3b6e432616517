"""Where a prompt is put together: the box, what is attached, and how much of the context it would take."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import TextArea

from app.state.conversation.attachment import LARGEST, Attachment, pasted
from app.state.conversation.conversation import Turn
from app.state.conversation.draft import Draft
from app.state.conversation.prompt_store import PromptStore
from app.state.side.pacing import displayable
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.token_counter import Counted, PromptTokenCounter
from app.widgets.chat.attachment_list import AttachmentItem, AttachmentList
from app.widgets.chat.prompt import PromptInput
from engines.worker.protocol import TokensCounted

if TYPE_CHECKING:
    from app.playground import Playground

EDITING = "Edit: Enter asks again from here, Esc leaves it"


class Composer(Vertical):
    """The prompt that is being written, with everything that will go with it."""

    app: Playground

    @dataclass
    class Sent(Message):
        """The user sent a prompt."""

        text: str
        attachments: tuple[Attachment, ...]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.edited: Turn | None = None
        """The turn whose prompt is being edited."""
        self._draft = self._aside = Draft()
        """What is being written; and what was, before an edit began."""
        self._counting = PromptTokenCounter(
            lambda: self.app.sides, self._count_tokens, self._beside, self._show_count
        )
        self._keeping = PromptStore(self._beside)
        self._folder = ""
        """Where the last file was, and the next one is looked for."""

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        self.app.run_worker(work, group="prompt", exit_on_error=False)

    def compose(self) -> ComposeResult:
        """What is attached, then the box."""
        yield AttachmentList(id="attachments")
        yield PromptInput(id="prompt")

    def on_mount(self) -> None:
        """Bring back what earlier runs have left; count again when the engines or the settings change."""
        self._beside(self._bring_back())
        self.app.side_changed.subscribe(self, self._engine_changed)
        self.app.settings_changed.subscribe(self, lambda _: self.recount())

    async def _bring_back(self) -> None:
        self.box.earlier.load(await self._keeping.prompts())
        draft = await self._keeping.draft()
        if draft and not self._draft:
            await self.put(draft)

    def on_unmount(self) -> None:
        """Keep what was not sent."""
        self._keeping.close()

    @property
    def box(self) -> PromptInput:
        """Where the text is."""
        return self.query_one(PromptInput)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What goes with the text."""
        return self._draft.attachments

    async def put(self, draft: Draft) -> None:
        """Hold this instead of what is there."""
        self.box.write(draft.text)
        await self._change(draft)

    async def attach(self, attachment: Attachment) -> None:
        """Add one, unless it is there."""
        if attachment in self.attachments:
            self.notify("That is attached already.")
        else:
            await self._change(Draft(self.box.text, (*self.attachments, attachment)))

    async def _drop(self, attachment: Attachment) -> None:
        rest = tuple(one for one in self.attachments if one != attachment)
        await self._change(Draft(self.box.text, rest))
        self.box.focus()

    def choose_file(self) -> None:
        """Let the user choose a file and add it."""
        self._beside(self._choose_file())

    async def _choose_file(self) -> None:
        from app.screens.attach import AttachScreen

        screen = AttachScreen(self._folder)
        if chosen := await self.app.push_screen_wait(screen):
            self._folder = screen.folder
            await self.attach(chosen)

    def holds(self, sent: Sent) -> bool:
        """Whether that is what stands here: Enter that is pressed twice sends it once."""
        return (sent.text, sent.attachments) == (self.box.text.strip(), self.attachments)

    async def accept(self, text: str) -> None:
        """The text was taken: remember it, and hold what was there before an edit, or else nothing."""
        self.box.earlier.add(text)
        self._keeping.sent(text)
        await self._end_edit()

    async def edit(self, turn: Turn) -> None:
        """Hold the prompt of an earlier turn; what is there now comes back afterwards."""
        if self.edited is None:
            self._aside = self._draft
        self.edited = turn
        self.box.border_title = EDITING
        await self.put(Draft(turn.prompt, turn.attachments))
        self.box.focus()

    async def leave_edit(self) -> None:
        """Hold what was there before; without an edit nothing changes."""
        if self.edited:
            await self._end_edit()

    async def _end_edit(self) -> None:
        draft, self.edited, self._aside = self._aside, None, Draft()
        self.box.border_title = ""
        self.box.earlier.leave()
        await self.put(draft)

    @on(PromptInput.Sent)
    def send(self, event: PromptInput.Sent) -> None:
        """Send text and attachments, unless there is neither."""
        event.stop()
        if event.text or self.attachments:
            self.post_message(self.Sent(event.text, self.attachments))

    @on(PromptInput.PastedLong)
    async def attach_paste(self, event: PromptInput.PastedLong) -> None:
        """A long paste stands above the box."""
        event.stop()
        if len(event.text) > LARGEST:
            self.notify("That is more than 1 MiB: paste the part that matters.", severity="warning")
        else:
            await self.attach(pasted(event.text))

    @on(PromptInput.BackspaceAtStart)
    def go_to_chips(self) -> None:
        """To the last attachment: another Backspace removes it."""
        if chips := self.query(AttachmentItem):
            chips.last().focus()

    @on(AttachmentItem.Removed)
    async def take_away(self, event: AttachmentItem.Removed) -> None:
        """One attachment less."""
        await self._drop(event.attachment)

    @on(AttachmentItem.TextWanted)
    async def put_back(self, event: AttachmentItem.TextWanted) -> None:
        """A paste becomes text, where the cursor is."""
        self.box.insert(displayable(event.attachment.text))
        await self._drop(event.attachment)

    @on(TextArea.Changed)
    async def take(self, event: TextArea.Changed) -> None:
        """Somebody writes."""
        event.stop()
        await self._change(Draft(self.box.text, self.attachments))

    async def _change(self, draft: Draft) -> None:
        if draft == self._draft:
            return
        before, self._draft = self._draft, draft
        if not self.edited:
            self._keeping.written(draft)
        if draft.attachments != before.attachments:
            await self.query_one(AttachmentList).show(draft.attachments, self._counting.tokens)
        self.recount()

    async def _count_tokens(
        self, side: Side, prompt: str, above: int | None, texts: tuple[str, ...]
    ) -> TokensCounted | None:
        system_prompt = self.app.settings.chat(side.name).system_prompt
        messages = side.conversation.messages_with(system_prompt, prompt, above)
        return await self.app.engine(side).count_tokens(messages, texts)

    def recount(self) -> None:
        """The prompt, the conversation or an engine has changed."""
        self._counting.recount(self._draft, self.edited)

    def _engine_changed(self, side: Side) -> None:
        if side.phase is Phase.LOADING:  # another one may count otherwise
            self._counting.tokens.clear()
        elif side.phase in (Phase.READY, Phase.FAILED):
            self.recount()

    def _show_count(self, counted: Counted) -> None:
        if self.is_attached:
            self.box.show_count(counted, self.app.settings.context_full)
            self.query_one(AttachmentList).show_tokens(self._counting.tokens)

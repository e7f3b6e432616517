"""The prompt being written: its text, its attachments and its share of the context window."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import TextArea

from app.interface import PlaygroundApp, playground
from app.state.conversation.attachment import LARGEST, Attachment, pasted
from app.state.conversation.context_usage import count_tokens
from app.state.conversation.conversation import Turn
from app.state.conversation.draft import Draft, joined
from app.state.conversation.prompt_store import PromptStore
from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.token_counter import Counted, PromptTokenCounter
from app.terminal_text import displayable
from app.widgets.chat.attachment_list import AttachmentItem, AttachmentList
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.queued_prompts import QueuedPrompts
from app.widgets.chat.suggestions import Suggestions
from engines.worker.protocol import TokensCounted

EDITING = "Editing an earlier prompt: Enter sends it again, Esc cancels"


class Composer(Vertical):
    """The draft of the next prompt: text and attachments, kept across runs and counted in tokens."""

    @dataclass
    class Sent(Message):
        """The user sent a prompt."""

        text: str
        attachments: tuple[Attachment, ...]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.edited: Turn | None = None
        """The turn whose prompt is being edited, if any."""
        self._draft = Draft()
        """The text and attachments in the composer now."""
        self._saved_draft = Draft()
        """The draft to restore when an edit ends."""
        self.queued: tuple[Draft, ...] = ()
        """Prompts to be sent when the answers are complete, the next one first."""
        self.token_counter = PromptTokenCounter(
            lambda: self.playground.sides, self._count_tokens, self._run_in_background, self.show_count
        )
        self._prompt_store = PromptStore(self._run_in_background, keeps=self.playground.keeps_prompts)

    @property
    def playground(self) -> PlaygroundApp:
        """Return the running app."""
        return playground(self)

    def _run_in_background(self, work: Coroutine[None, None, None]) -> None:
        self.app.run_worker(work, group="prompt", exit_on_error=False)

    def compose(self) -> ComposeResult:
        """Yield suggestions, queued prompts and attachments, then the prompt input."""
        yield Suggestions(id="suggested")
        yield QueuedPrompts(id="queued")
        yield AttachmentList(id="attachments")
        yield PromptInput(id="prompt")

    def on_mount(self) -> None:
        """Restore the saved draft and history; recount tokens when engines or settings change."""
        self._run_in_background(self._restore())
        for file in self._prompt_store.files:
            self.playground.save_failures.add(file)
        self.playground.side_changed.subscribe(self, self._engine_changed)
        self.playground.settings_changed.subscribe(self, lambda _: self.recount())

    async def _restore(self) -> None:
        self.box.earlier.load(await self._prompt_store.prompts())
        draft = await self._prompt_store.draft()
        if draft and not self._draft:
            await self.set_draft(draft)

    def on_unmount(self) -> None:
        """Save the draft."""
        self._prompt_store.close()

    @property
    def box(self) -> PromptInput:
        """Return the prompt input."""
        return self.query_one(PromptInput)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Return the attachments of the draft."""
        return self._draft.attachments

    async def set_draft(self, draft: Draft) -> None:
        """Replace the text and the attachments."""
        self.box.write(draft.text)
        await self._change(draft)

    async def attach(self, attachment: Attachment) -> None:
        """Add an attachment, unless it is attached already."""
        if attachment in self.attachments:
            self.notify("This file is attached already.")
        else:
            await self._change(Draft(self.box.text, (*self.attachments, attachment)))

    async def _remove(self, attachment: Attachment) -> None:
        rest = tuple(other for other in self.attachments if other != attachment)
        await self._change(Draft(self.box.text, rest))
        self.box.focus()

    def holds(self, sent: Sent) -> bool:
        """Return whether `sent` equals the draft; False for a second Enter, after the first cleared it."""
        return (sent.text, sent.attachments) == (self.box.text.strip(), self.attachments)

    async def accept(self, text: str) -> None:
        """Add the sent text to the history; clear the composer, or restore the draft from before an edit."""
        self._add_to_history(text)
        await self._end_edit()

    def _add_to_history(self, text: str) -> None:
        self.box.earlier.add(text)
        self._prompt_store.sent(text)

    async def enqueue(self) -> None:
        """Let the prompt wait for the end of the answers, and clear the composer."""
        draft = Draft(self.box.text.strip(), self.attachments)
        self._queue((*self.queued, draft))
        self.box.earlier.leave()
        await self.set_draft(Draft())

    def next_queued(self) -> Draft:
        """Return the next queued prompt, which is to be sent now.

        Raises:
            IndexError: none is queued.
        """
        draft = self.queued[0]
        self._queue(self.queued[1:])
        self._add_to_history(draft.text)
        return draft

    async def take_back(self, *, last_only: bool = False) -> None:
        """Put the queued prompts, or the last one, back above what is written now."""
        kept, back = (self.queued[:-1], self.queued[-1:]) if last_only else ((), self.queued)
        if not back:
            return
        self._queue(kept)
        if self.edited:
            self._saved_draft = joined((*back, self._saved_draft))
        else:
            await self.set_draft(joined((*back, self._draft)))

    def _queue(self, queued: tuple[Draft, ...]) -> None:
        self.queued, self.box.has_queued = queued, bool(queued)
        self.query_one(QueuedPrompts).show(queued)
        self._keep()

    def _keep(self) -> None:
        """Save the draft with what is queued, after a pause: a queued prompt survives the end of the app."""
        self._prompt_store.written(joined((*self.queued, self._saved_draft if self.edited else self._draft)))

    @on(PromptInput.QueuedRequested)
    async def take_last_back(self) -> None:
        """Put the prompt that was queued last back."""
        await self.take_back(last_only=True)

    @on(Suggestions.Chosen)
    def fill(self, event: Suggestions.Chosen) -> None:
        """Put a suggested prompt into the prompt input, without sending it."""
        self.box.write(event.prompt)
        self.box.focus()

    def show_suggestions(self) -> None:
        """List prompts that suit the model, in an empty chat."""
        sides = self.playground.sides
        models = [side.model_name for side in sides if side.model_name]
        begun = any(side.conversation.turns for side in sides)
        prompts = suggested_prompts(models[0]) if models and not begun else ()
        self.box.earlier.suggested = prompts
        self.query_one(Suggestions).show(prompts, self.box.text)

    async def edit(self, turn: Turn) -> None:
        """Load the prompt of an earlier turn for editing; the draft is restored when the edit ends."""
        if self.edited is None:
            self._saved_draft = self._draft
        self.edited = turn
        self.box.border_title = EDITING
        await self.set_draft(Draft(turn.prompt, turn.attachments))
        self.box.focus()

    async def leave_edit(self) -> None:
        """Cancel an edit, if there is one, and restore the draft."""
        if self.edited:
            await self._end_edit()

    async def _end_edit(self) -> None:
        draft, self.edited, self._saved_draft = self._saved_draft, None, Draft()
        self.box.border_title = ""
        self.box.earlier.leave()
        await self.set_draft(draft)

    @on(PromptInput.Sent)
    def send(self, event: PromptInput.Sent) -> None:
        """Post `Sent` with text and attachments, unless both are empty."""
        event.stop()
        if event.text or self.attachments:
            self.post_message(self.Sent(event.text, self.attachments))

    @on(PromptInput.PastedLong)
    async def attach_paste(self, event: PromptInput.PastedLong) -> None:
        """Attach a long paste instead of inserting it into the text."""
        event.stop()
        if len(event.text) > LARGEST:
            self.notify("The paste is larger than 1 MiB. Paste only the part you need.", severity="warning")
        else:
            await self.attach(pasted(event.text))

    @on(PromptInput.BackspaceAtStart)
    def focus_last_attachment(self) -> None:
        """Focus the last attachment; another Backspace removes it."""
        if items := self.query(AttachmentItem):
            items.last().focus()

    @on(AttachmentItem.Removed)
    async def remove_attachment(self, event: AttachmentItem.Removed) -> None:
        """Remove the attachment."""
        await self._remove(event.attachment)

    @on(AttachmentItem.TextRequested)
    async def insert_as_text(self, event: AttachmentItem.TextRequested) -> None:
        """Insert the attachment's text at the cursor and remove the attachment."""
        self.box.insert(displayable(event.attachment.text))
        await self._remove(event.attachment)

    @on(TextArea.Changed)
    async def record_edit(self, event: TextArea.Changed) -> None:
        """Record the edit and schedule a token count."""
        event.stop()
        await self._change(Draft(self.box.text, self.attachments))

    async def _change(self, draft: Draft) -> None:
        if draft == self._draft:
            return
        before, self._draft = self._draft, draft
        if not self.edited:
            self._keep()
        if draft.attachments != before.attachments:
            await self.query_one(AttachmentList).show(draft.attachments, self.token_counter.tokens)
        self.recount()

    def save_now(self) -> None:
        """Save what is queued and in the composer, also the text of an edit: it is below the draft then."""
        draft = Draft(self.box.text, self.attachments)
        if self.edited:
            kept = self._saved_draft
            texts = [kept.text] if draft.text == self.edited.prompt else [kept.text, draft.text]
            draft = Draft("\n\n".join(filter(None, texts)), kept.attachments)
        self._prompt_store.save_now(joined((*self.queued, draft)))

    async def _count_tokens(
        self, side: Side, prompt: str, above: int | None, texts: tuple[str, ...]
    ) -> TokensCounted | None:
        options, process = self.playground.settings.chat(side.name), self.playground.engine(side).process
        if process is None or side.ready is None:
            return None
        messages = side.conversation.messages_with(options.system_prompt, prompt, above)
        arguments = options.thinking.arguments(side.ready.template_variables)
        return await count_tokens(process, messages, texts, arguments)

    def recount(self) -> None:
        """Schedule a token count, after a change of the draft, the conversation or an engine."""
        self.token_counter.recount(self._draft, self.edited)
        self.show_suggestions()

    def _engine_changed(self, side: Side) -> None:
        self.show_suggestions()
        if side.phase is Phase.LOADING:  # another engine may have another tokenizer
            self.token_counter.tokens.clear()
        elif side.phase in (Phase.READY, Phase.FAILED):
            self.recount()

    def show_count(self, counted: Counted) -> None:
        """Show how much of the context windows the prompt would take."""
        if self.is_attached:
            self.box.show_count(counted, self.playground.settings.context_full)
            self.query_one(AttachmentList).show_tokens(self.token_counter.tokens)

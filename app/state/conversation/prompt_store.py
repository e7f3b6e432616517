"""The prompts that were sent and the draft, saved across runs."""

from __future__ import annotations

import asyncio
import contextlib

from app.debounce import Debouncer, StartTask
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.prompt_history import PromptFile, read_prompts
from app.state.settings import paths
from app.state.settings.last_write import Saved

PAUSE_SECONDS = 1.0
"""After a pause of this length in typing, the draft is saved."""


class PromptStore:
    """The two files. What a full disk refuses stays pending."""

    def __init__(self, start: StartTask, *, keeps: bool = True) -> None:
        """Create it; `keeps` is whether drafts and prompts are saved, and a saved draft is restored."""
        self._start, self._keeps = start, keeps
        self._prompts = PromptFile(paths.prompt_history_file())
        self._draft = DraftFile(paths.draft_file())
        self._pause = Debouncer(PAUSE_SECONDS, self._write, start)

    @property
    def files(self) -> tuple[Saved, Saved]:
        """Both files, to show what of them could not be saved."""
        return self._prompts, self._draft

    async def prompts(self) -> list[str]:
        """Return the prompts of earlier runs."""
        try:
            return await asyncio.to_thread(read_prompts, paths.prompt_history_file())
        except OSError:
            return []

    async def draft(self) -> Draft:
        """Return the draft of an app that has ended."""
        return await asyncio.to_thread(self._draft.read) if self._keeps else Draft()

    def sent(self, prompt: str) -> None:
        """Save a prompt."""
        if not self._keeps:
            return
        self._prompts.add(prompt)
        self._start(self._write_prompts())

    def written(self, draft: Draft) -> None:
        """Save a draft, after a pause."""
        if not self._keeps:
            return
        self._draft.set_pending(draft)
        self._pause.trigger()

    def save_now(self, draft: Draft) -> None:
        """Save a draft without waiting for a pause. An empty one leaves a draft that is not restored yet."""
        if draft and self._keeps:
            self._draft.set_pending(draft)
        self._write_pending()

    def close(self) -> None:
        """Save what is pending without waiting for a pause, and leave the draft to the next app."""
        self._write_pending()
        self._draft.close()

    def _write_pending(self) -> None:
        for write in (self._prompts.write, self._draft.write):
            with contextlib.suppress(OSError):
                write()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._draft.write)

    async def _write_prompts(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._prompts.write)

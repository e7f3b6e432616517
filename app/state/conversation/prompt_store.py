"""The prompts that were sent and the draft, saved across runs."""

from __future__ import annotations

import asyncio
import contextlib

from app.debounce import Debouncer, StartTask
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.prompt_history import PromptFile, read_prompts
from app.state.settings import paths

PAUSE_SECONDS = 1.0
"""After a pause of this length in typing, the draft is saved."""


class PromptStore:
    """The two files. What a full disk refuses is written with the next change, or at the end."""

    def __init__(self, start: StartTask) -> None:
        self._start = start
        self._prompts = PromptFile(paths.prompt_history_file())
        self._draft = DraftFile(paths.draft_file())
        self._pause = Debouncer(PAUSE_SECONDS, self._write, start)

    async def prompts(self) -> list[str]:
        """Return the prompts of earlier runs."""
        try:
            return await asyncio.to_thread(read_prompts, paths.prompt_history_file())
        except OSError:
            return []

    async def draft(self) -> Draft:
        """Return the draft of an app that has ended."""
        return await asyncio.to_thread(self._draft.read)

    def sent(self, prompt: str) -> None:
        """Save a prompt."""
        self._prompts.add(prompt)
        self._start(self._write_prompts())

    def written(self, draft: Draft) -> None:
        """Save a draft, after a pause."""
        self._draft.set_pending(draft)
        self._pause.trigger()

    def close(self) -> None:
        """Save what is pending without waiting for a pause, and leave the draft to the next app."""
        for write in (self._prompts.write, self._draft.write):
            with contextlib.suppress(OSError):
                write()
        self._draft.close()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._draft.write)

    async def _write_prompts(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._prompts.write)

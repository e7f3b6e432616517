"""What was sent and what was not, kept across runs."""

from __future__ import annotations

import asyncio
import contextlib

from app.debounce import Debouncer, StartTask
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.prompt_history import keep_prompt, read_prompts
from app.state.settings import paths

PAUSE_SECONDS = 1.0
"""Without a key for so long, the draft is written down."""


class PromptStore:
    """The two files. A disk that refuses costs the copy: the conversation holds what was sent."""

    def __init__(self, start: StartTask) -> None:
        self._start = start
        self._draft = DraftFile(paths.draft_file())
        self._pause = Debouncer(PAUSE_SECONDS, self._write, start)

    async def prompts(self) -> list[str]:
        """What earlier runs have sent."""
        try:
            return await asyncio.to_thread(read_prompts, paths.prompt_history_file())
        except OSError:
            return []

    async def draft(self) -> Draft:
        """What the last run has not sent."""
        return await asyncio.to_thread(self._draft.read)

    def sent(self, prompt: str) -> None:
        """Keep a prompt."""
        self._start(self._add(prompt))

    def written(self, draft: Draft) -> None:
        """Keep a draft, after a pause."""
        self._draft.want(draft)
        self._pause.trigger()

    def close(self) -> None:
        """Write what is not written yet: at the end nobody waits for a pause."""
        with contextlib.suppress(OSError):
            self._draft.write()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._draft.write)

    async def _add(self, prompt: str) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(keep_prompt, paths.prompt_history_file(), prompt)

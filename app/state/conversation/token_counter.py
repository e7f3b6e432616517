"""Tokens of the prompt that is being written, by the engine of each side and below its own history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from app.debounce import Debouncer, StartTask
from app.state.conversation.alignment import indices_by_side
from app.state.conversation.attachment import Attachment, with_attachments
from app.state.conversation.context_usage import count_tokens
from app.state.conversation.conversation import Turn
from app.state.conversation.draft import Draft
from app.state.side.side import Side
from engines.worker.protocol import TokensCounted

if TYPE_CHECKING:
    from app.interface import PlaygroundApp

PAUSE_SECONDS = 0.3
"""Without a key for so long, the tokens are counted."""

Counted = Mapping[str, TokensCounted]
"""By side; one without an engine is not in it."""


class PromptTokenCounter:
    """Lets both engines count, one question at a time, and nothing while nothing is written."""

    def __init__(self, app: PlaygroundApp, start: StartTask, show: Callable[[Counted], None]) -> None:
        """Create it; `show` is called with the figures, and with none when there is nothing to count."""
        self._app, self._show = app, show
        self._asked: tuple[Draft, Turn | None] = Draft(), None
        self._pause = Debouncer(PAUSE_SECONDS, self._count, start)
        self.tokens: dict[Attachment, int] = {}
        """Of each attachment by itself, once counted."""

    def recount(self, draft: Draft, edited: Turn | None) -> None:
        """The draft, the conversation or an engine has changed.

        Args:
            edited: The turn in whose place the draft would be sent, if there is one.
        """
        self._asked = draft, edited
        if draft:
            self._pause.trigger()
        else:
            self._pause.cancel()
            self._show({})

    async def _count(self) -> None:
        asked = self._asked
        draft, edited = asked
        alone = [one for one in draft.attachments if one not in self.tokens]
        counted = await self._ask_sides(draft, edited, alone)
        for one in counted.values():
            self.tokens.update(zip(alone, one.texts, strict=False))
        if asked == self._asked:  # else it is counted again
            self._show(counted)

    async def _ask_sides(self, draft: Draft, edited: Turn | None, alone: list[Attachment]) -> Counted:
        content = with_attachments(draft.text.strip(), draft.attachments)
        above = indices_by_side(edited, self._app.sides) if edited else {}
        texts = tuple(one.text for one in alone)

        async def ask(side: Side) -> TokensCounted | None:
            system_prompt = self._app.settings.chat(side.name).system_prompt
            messages = side.conversation.messages_with(system_prompt, content, above.get(side))
            return await count_tokens(side, messages, texts)

        sides = tuple(above) if edited else self._app.sides
        found = await asyncio.gather(*(ask(side) for side in sides))
        return {side.name: counted for side, counted in zip(sides, found, strict=True) if counted}

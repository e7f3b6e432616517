"""Counts the tokens of the prompt that is being written, with each side's engine and history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from app.debounce import Debouncer, StartTask
from app.state.conversation.attachment import Attachment, with_attachments
from app.state.conversation.draft import Draft
from app.state.conversation.turn import Turn
from app.state.side.side import Side
from app.state.side.turns import indices_by_side
from engines.worker.protocol import TokensCounted

PAUSE_SECONDS = 0.3
"""Tokens are counted after so long without a key."""

Counted = Mapping[str, TokensCounted]
"""By the name of the side; a side without an engine is not in it."""


class PromptTokenCounter:
    """Lets both engines count, one request at a time, and none while the prompt is empty."""

    def __init__(
        self,
        sides: Callable[[], tuple[Side, Side]],
        count: Callable[[Side, str, int | None, tuple[str, ...]], Awaitable[TokensCounted | None]],
        start: StartTask,
        show: Callable[[Counted], None],
    ) -> None:
        """Create it.

        Args:
            count: counts with a side's engine the new prompt, below the given number of turns (None: all),
                and each text alone.
            show: called with the counts, and with none when there is nothing to count.
        """
        self._sides, self._count_side, self._show = sides, count, show
        self._asked: tuple[Draft, Turn | None] = Draft(), None
        self._pause = Debouncer(PAUSE_SECONDS, self._count, start)
        self.tokens: dict[Attachment, int] = {}
        """Of each attachment alone, once counted."""

    def recount(self, draft: Draft, edited: Turn | None) -> None:
        """Count again, after a pause: the draft, the conversation or an engine has changed.

        Args:
            edited: the turn that the draft would replace, if there is one.
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
        counted = await self._count_all(draft, edited, alone)
        for one in counted.values():
            self.tokens.update(zip(alone, one.texts, strict=False))
        if asked == self._asked:  # otherwise another count is due
            self._show(counted)

    async def _count_all(self, draft: Draft, edited: Turn | None, alone: list[Attachment]) -> Counted:
        content = with_attachments(draft.text.strip(), draft.attachments)
        above = indices_by_side(edited, self._sides()) if edited else {}
        texts = tuple(one.text for one in alone)
        sides = tuple(above) if edited else self._sides()
        counts = (self._count_side(side, content, above.get(side), texts) for side in sides)
        found = await asyncio.gather(*counts)
        return {side.name: counted for side, counted in zip(sides, found, strict=True) if counted}

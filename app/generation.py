"""One prompt on its way: every side asked, its answer drawn as it comes, what was said written down."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from app.state.conversation.conversation import Turn
from app.state.settings.settings import ContextFull, TimingMode
from app.state.side.answer_cost import counted
from app.state.side.pacing import CALM_SECONDS
from app.state.side.side import Side
from app.widgets.chat.pane import Pane

if TYPE_CHECKING:
    from app.screens.chat_view import ChatView


class GenerationRun:
    """The turns that are to be answered now, one on each side that takes part."""

    def __init__(self, chat: ChatView, turns: dict[Side, Turn]) -> None:
        self._chat = chat
        self._app = chat.app
        self._turns = turns

    async def run(self) -> None:
        """Let each side answer its turn, together or in turn."""
        mode = self._app.settings.timing
        for side, turn in self._turns.items():
            self._begin(side, turn, mode)
            await self._write(side)
        drawing = asyncio.create_task(self._draw())
        try:
            if mode is TimingMode.TOGETHER:
                await asyncio.gather(*(self._answer(side, turn) for side, turn in self._turns.items()))
            else:
                for side, turn in self._turns.items():
                    await self._answer(side, turn)
        finally:
            drawing.cancel()
            for side in self._turns:
                side.unqueue()

    def _begin(self, side: Side, turn: Turn, mode: TimingMode) -> None:
        options = self._app.settings.chat(side.name)
        side.conversation.system_prompt = turn.system_prompt = options.system_prompt
        turn.sampling, turn.mode = options.for_attempt(turn.attempt), mode.value
        turn.checkpoint, turn.asked_at = side.checkpoint_name, time.time()
        self._chat.pane(side).begin()
        side.queue()

    async def _answer(self, side: Side, turn: Turn) -> None:
        pane = self._chat.pane(side)
        try:
            if side.unqueue():
                assert turn.sampling
                trim = self._app.settings.context_full is ContextFull.TRIM
                async with counted(side, turn, self._app.energy):
                    async for _ in side.ask(turn, side.conversation.messages(), turn.sampling, trim=trim):
                        pass
            else:
                turn.reason = "stopped"
        finally:
            pane.finish()
            await self._write(side)

    async def _write(self, side: Side) -> None:
        """Save the last turn as it stands; a disk that refuses costs the copy, not the chat."""
        try:
            await asyncio.to_thread(self._app.history.append_turn, side.name, side.conversation)
        except OSError as error:
            words = f"The conversation cannot be saved: {error}"
            self._chat.notify(words, severity="warning", markup=False)

    async def _draw(self) -> None:
        """Draw new text ten times a second; when tokens come fast, the chat does with the panels.

        What is drawn in the same moment costs the screen, and so the engines, one update.
        """
        panes = list(self._chat.query(Pane))
        while True:
            await asyncio.sleep(CALM_SECONDS)
            if not self._chat.is_busy:
                for pane in panes:
                    pane.flush()

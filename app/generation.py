"""One prompt on both sides: ask each engine, draw the answers while they arrive, save the turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from app.engine_lifecycle import EngineLifecycle
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.turn import Turn
from app.state.prepare.side_gpu import on_own_gpus
from app.state.settings.settings import ContextFull, Settings, TimingMode
from app.state.side.cost_counter import count_cost
from app.state.side.pacing import CALM_SECONDS
from app.state.side.side import Side
from engines.measure.energy import EnergyCounter
from engines.worker.error_mapping import to_error_event

BusyPercent = Callable[[str, float], float | None]
"""As TelemetrySampler.busy_percent."""


class AnswerView(Protocol):
    """Where answers are drawn."""

    @property
    def is_busy(self) -> bool:
        """Whether tokens arrive so fast that the view draws them with its panels, not with `flush`."""

    def begin_answer(self, side: Side) -> None:
        """The side's last turn is about to be answered."""

    def flush(self) -> None:
        """Draw the text that has arrived."""

    def end_answer(self, side: Side) -> None:
        """Draw the complete answer."""

    def report(self, message: str) -> None:
        """Show a warning."""


class UnseenAnswers:
    """A view that draws nothing while answers arrive: their pace and order would tell engines apart."""

    is_busy = False

    def __init__(self, report: Callable[[str], None]) -> None:
        """Create it; `report` shows a warning."""
        self._report = report

    def begin_answer(self, side: Side) -> None:
        """Draw nothing."""

    def flush(self) -> None:
        """Draw nothing."""

    def end_answer(self, side: Side) -> None:
        """Draw nothing."""

    def report(self, message: str) -> None:
        """Show a warning."""
        self._report(message)


class GenerationRun:
    """Lets each side answer one turn. A failure of one side, or of the view, does not stop the other side."""

    def __init__(
        self,
        turns: dict[Side, Turn],
        view: AnswerView,
        settings: Settings,
        engine: Callable[[Side], EngineLifecycle],
        history: ConversationFile,
        energy: EnergyCounter,
        busy_percent: BusyPercent = lambda *_: None,
    ) -> None:
        """Create it.

        Args:
            turns: the turn that each side answers, already part of its conversation.
            settings: the current ones; changes apply to the next prompt.
            engine: returns the owner of a side's engine.
            busy_percent: what other programs used of a device; see TelemetrySampler.
        """
        self._busy_percent = busy_percent
        self._turns, self._view, self._settings = turns, view, settings
        self._engine, self._history, self._energy = engine, history, energy
        # Another conversation may be open by the time that an answer is saved.
        self._writer, self._conversations = history.writer, {side: side.conversation for side in turns}
        self._reported = ""

    async def run(self) -> None:
        """Answer all turns, together or in turn."""
        for side, turn in self._turns.items():
            self._begin(side, turn)
            await self._save(side)
        drawing = asyncio.create_task(self._draw())
        try:
            for side in self._turns:
                await self._engine(side).scored()
            if self._is_together:
                async with asyncio.TaskGroup() as group:
                    for side, turn in self._turns.items():
                        group.create_task(self._answer(side, turn))
            else:
                for side, turn in self._turns.items():
                    await self._answer(side, turn)
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
            for side in self._turns:
                self._engine(side).unqueue()

    @property
    def _is_together(self) -> bool:
        return self._settings.timing is TimingMode.TOGETHER and len(self._turns) > 1

    def _begin(self, side: Side, turn: Turn) -> None:
        options = self._settings.chat(side.name)
        side.conversation.system_prompt = turn.system_prompt = options.system_prompt
        turn.sampling, turn.mode = options.for_attempt(turn.attempt), self._settings.timing.value
        turn.thinking = options.thinking
        turn.checkpoint, turn.asked_at = side.checkpoint_name, time.time()
        self._guarded(self._view.begin_answer, side)
        self._engine(side).queue()

    async def _answer(self, side: Side, turn: Turn) -> None:
        """Answer one turn; an exception becomes the turn's error."""
        engine = self._engine(side)
        try:
            if engine.unqueue():
                assert turn.sampling
                trim, began = self._settings.context_full is ContextFull.TRIM, time.monotonic()
                turn.own_gpu = self._is_together and on_own_gpus(*(one.spec for one in self._turns))
                async with count_cost(side, turn, self._energy):
                    await engine.answer(turn, side.conversation.messages(), turn.sampling, trim=trim)
                turn.busy_percent = self._busy_percent(side.spec.device if side.spec else "", began)
            else:
                turn.reason = "stopped"
        except Exception as bug:
            turn.error = to_error_event(0, bug)
        finally:
            self._guarded(self._view.end_answer, side)
            await self._save(side)

    async def _save(self, side: Side) -> None:
        """Save the last turn; if writing fails, the chat continues, and the turn is written later."""
        known = self._history.failures
        try:
            await asyncio.to_thread(
                self._history.append_turn, side.name, self._conversations[side], self._writer
            )
        except OSError as error:
            if known:  # the header shows it
                return
            self._view.report(f"The conversation cannot be saved: {error}")

    async def _draw(self) -> None:
        """Draw new text ten times a second; when tokens arrive fast, the view does it with its panels.

        Everything that is drawn in the same moment costs one update of the screen.
        """
        while True:
            await asyncio.sleep(CALM_SECONDS)
            if not self._view.is_busy:
                self._guarded(self._view.flush)

    def _guarded(self, draw: Callable[..., None], *arguments: Side) -> None:
        """Draw, and report an exception once instead of ending the answer."""
        try:
            draw(*arguments)
        except Exception as bug:
            message = f"The answer cannot be drawn: {bug!r}"
            if message != self._reported:
                self._reported = message
                self._view.report(message)

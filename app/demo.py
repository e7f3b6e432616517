"""The demo: suggested prompts are typed and answered on the stage, until a key is pressed.

A demo saves no settings, no draft and no prompt history. Its conversation is saved as any other; of the
passes of an endless demo only the last one is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import App
from textual.events import Event, Key, MouseDown, Paste
from textual.worker import Worker

from app.interface import playground
from app.state.conversation.record import Record
from app.state.conversation.saved_conversations import delete_conversation
from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.side.phase import Phase
from app.state.side.side import Side

if TYPE_CHECKING:  # a screen is imported when it is first shown
    from app.screens.chat import ChatScreen

NOTE = "plays by itself: any key takes over"
TAKEN_OVER = "The demo has stopped: the chat is yours. Esc or Ctrl+G leaves the stage."
FINISHED = "That was the demo: the chat is yours. Esc or Ctrl+G leaves the stage."
POLL_SECONDS = 0.1
QUIT = "ctrl+q"
"""The one key that also does what it always does."""
SHOWN_SECONDS = 10.0
"""How long the message about the end of the demo is shown."""


@dataclass(frozen=True)
class Pace:
    """How fast a demo is played, in seconds."""

    key: float = 0.06
    """Between two letters; between words it is twice as long."""
    before: float = 1.5
    """Before a prompt is typed, and again before it is sent."""
    reading: float = 4.0
    """After both answers, and longer the longer they are."""
    a_thousand_characters: float = 4.0
    """Added to `reading` for the longer answer."""


@dataclass(frozen=True)
class DemoOptions:
    """How a demo is played."""

    loop: bool = False
    """Whether it begins again after the last prompt."""
    pace: Pace = Pace()


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Demo:
    """Plays in the chat of an app that opens its engines."""

    def __init__(self, app: App[None], options: DemoOptions = DemoOptions()) -> None:
        self._app, self._loop, self._pace = app, options.loop, options.pace
        self._worker: Worker[None] | None = None

    @property
    def is_playing(self) -> bool:
        """Whether it types and asks by itself."""
        return self._worker is not None and not self._worker.is_finished

    def begin(self) -> None:
        """Show the stage and play, once the engines are ready."""
        chat = self._chat()
        chat.stage.note = NOTE
        chat.stage.show(True)
        self._worker = self._app.run_worker(self._play(), group="demo", exit_on_error=False)

    def stops_at(self, event: Event) -> bool:
        """Hand over to the user at a key, a paste or a mouse button.

        Returns:
            Whether the event is used up: a key only ends the demo.
        """
        if not self.is_playing or not isinstance(event, (Key, Paste, MouseDown)) or event.is_forwarded:
            return False
        assert self._worker
        self._worker.cancel()
        self._chat().composer.box.write("")  # a prompt that is half typed
        self._end(TAKEN_OVER)
        return isinstance(event, Key) and event.key != QUIT

    async def _play(self) -> None:
        try:
            await self._wait_for(self._ready)
            while True:
                for prompt in suggested_prompts(self._sides[0].checkpoint_name):
                    await self._ask(prompt)
                if not self._loop:
                    break
                await self._begin_again()
        except DemoError as why:
            self._end(f"The demo has stopped: {why}")
        else:
            self._end(FINISHED)

    async def _ask(self, prompt: str) -> None:
        """Type a prompt as a person does, send it, and leave time to read both answers."""
        box, pace = self._chat().composer.box, self._pace
        await asyncio.sleep(pace.before)
        for character in prompt:
            box.insert(character)
            await asyncio.sleep(pace.key * (2 if character == " " else 1))
        await asyncio.sleep(pace.before)
        before = [len(side.conversation.turns) for side in self._sides]
        box.action_send()
        await self._wait_for(lambda: self._answered(before))
        longest = max(len(side.conversation.turns[-1].answer) for side in self._sides)
        await asyncio.sleep(pace.reading + pace.a_thousand_characters * longest / 1000)

    async def _begin_again(self) -> None:
        """Begin an empty conversation, and delete the file of the pass that has ended."""
        app = playground(self._app)
        path = app.history.path
        app.open_conversation(Record(), None)
        self._chat().show_conversations()
        if path:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(delete_conversation, path)

    @property
    def _sides(self) -> tuple[Side, Side]:
        return playground(self._app).sides

    def _ready(self) -> bool:
        """Return whether both engines can be asked.

        Raises:
            DemoError: one of them was cancelled.
        """
        for side in self._sides:
            if side.phase is Phase.EMPTY and side.build and not side.build.running:
                raise DemoError(f"the {side.name} side has no engine")
        return all(side.can_answer for side in self._sides)

    def _answered(self, before: list[int]) -> bool:
        """Return whether both sides have answered another prompt.

        Raises:
            DemoError: an answer failed.
        """
        if any(
            len(side.conversation.turns) <= known for side, known in zip(self._sides, before, strict=True)
        ):
            return False
        for side in self._sides:
            if error := side.conversation.turns[-1].error:
                raise DemoError(f"{side.title}: {error.message}")
        return all(side.conversation.turns[-1].reason and side.can_answer for side in self._sides)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds.

        Raises:
            DemoError: a side has failed.
        """
        while not condition():
            for side in self._sides:
                if side.phase is Phase.FAILED:
                    raise DemoError(side.error.message if side.error else f"the {side.name} side failed")
            await asyncio.sleep(POLL_SECONDS)

    def _end(self, message: str) -> None:
        chat = self._chat()
        chat.stage.note = ""
        chat.stage.draw()
        chat.notify(message, timeout=SHOWN_SECONDS, markup=False)

    def _chat(self) -> ChatScreen:
        from app.screens.chat import ChatScreen

        return next(screen for screen in self._app.screen_stack if isinstance(screen, ChatScreen))

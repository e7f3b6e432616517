"""A seeded monkey: presses keys, clicks, pastes and resizes at random in the app with real engines.

    python -m tests.faults.monkey --seed 1 --keys 5000 --size 80x24

After each step the app must run, every widget of the screen must take messages, and no exception may have
reached Textual. A failure prints the seed and the last steps. `tests/faults/test_monkey.py` runs it briefly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import os
import random
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from textual import events
from textual.dom import DOMNode
from textual.geometry import Size
from textual.pilot import Pilot, WaitForScreenTimeout
from textual.screen import Screen

import app
from app.playground import Playground
from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.conversation.turn import Turn
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import DEMO, EngineChoice, Settings
from engines.errors import EngineError
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.app.driving import sampled
from tests.doubles import fork_server
from tests.faults.random_keys import COMMON_KEYS, LETTERS, SIZES, TEXTS, bound_keys, key_event

FREEZE_SECONDS = 300.0
"""A step that takes longer is a freeze: the machine may be busy, but not for that long."""
SETTLE_EVERY = 20
"""After so many steps the monkey waits until the screen is idle, and looks for widgets that have ended."""


@dataclass
class Outcome:
    """What became of one run."""

    seed: int
    size: tuple[int, int]
    tried: int = 0
    """Keys, clicks, pastes and resizes."""
    failure: str = ""
    """What went wrong, with the last steps; empty if the app survived."""

    @property
    def survived(self) -> bool:
        """Whether the app took every key."""
        return not self.failure


class MonkeyPlayground(Playground):
    """The app without what would leave it: quitting, and a web browser."""

    CSS_PATH = str(Path(app.__path__[0]) / "styles" / "panels.tcss")

    async def action_quit(self) -> None:
        """Stay: the command palette offers it too."""

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Open nothing."""


class Monkey:
    """Takes random steps in one app."""

    def __init__(self, pilot: Pilot[None], outcome: Outcome, before_step: Callable[[], None]) -> None:
        self._before_step = before_step
        self._pilot, self._app, self._outcome = pilot, pilot.app, outcome
        self._random = random.Random(outcome.seed)
        self._keys = bound_keys()
        self._last: deque[str] = deque(maxlen=40)

    async def run(self, keys: int) -> None:
        """Take steps until `keys` are tried; a failure is written into the outcome."""
        try:
            while self._outcome.tried < keys:
                self._before_step()
                async with asyncio.timeout(FREEZE_SECONDS * 0.9):
                    await self._step()
        except Exception as error:
            trace = "".join(traceback.format_exception(error)[-6:])
            self._outcome.failure = f"{error!r}\n{trace}\n{self._report()}"

    def _report(self) -> str:
        stack = " > ".join(type(screen).__name__ for screen in self._app.screen_stack)
        return (
            f"seed {self._outcome.seed}, after {self._outcome.tried} steps, {self._app.size}, on {stack}.\n"
            f"Last steps: {' | '.join(self._last)}"
        )

    async def _step(self) -> None:
        kind = self._random.random()
        if kind < 0.72:
            await self._wait(self._note(self._press))
        elif kind < 0.84:  # several keys before the app has handled the first
            for _ in range(self._random.randint(2, 6)):
                self._note(self._press)
        elif kind < 0.94:
            await self._wait(self._note(self._click))
        elif kind < 0.97:
            await self._wait(self._note(self._paste))
        else:
            await self._wait(self._note(self._resize))
        await asyncio.sleep(0)
        self._check()
        if self._outcome.tried % SETTLE_EVERY == 0:
            await self._settle()

    def _note(self, step: object) -> None:
        assert callable(step)
        self._outcome.tried += 1
        self._last.append(step())

    def _press(self) -> str:
        key = self._random.choice((*COMMON_KEYS, *self._keys) if self._random.random() < 0.7 else LETTERS)
        self._app.post_message(key_event(key))
        return key

    def _click(self) -> str:
        width, height = self._app.size
        x, y = self._random.randrange(max(1, width)), self._random.randrange(max(1, height))
        button = self._random.choice((1, 1, 1, 3))
        for kind in (events.MouseMove, events.MouseDown, events.MouseUp):
            self._app.post_message(kind(None, x, y, 0, 0, button, False, False, False, x, y))
        if self._random.random() < 0.2:
            scroll = self._random.choice((events.MouseScrollDown, events.MouseScrollUp))
            self._app.post_message(scroll(None, x, y, 0, 0, 0, False, False, False, x, y))
        return f"click {x},{y}"

    def _paste(self) -> str:
        text = self._random.choice(TEXTS)
        self._app.post_message(events.Paste(text))
        return f"paste {text[:10]!r}"

    def _resize(self) -> str:
        size = Size(*self._random.choice((self._outcome.size, *SIZES)))
        self._app._driver._size = size  # type: ignore[union-attr, attr-defined] # as Pilot.resize_terminal
        self._app.post_message(events.Resize(size, size))
        return f"resize {size.width}x{size.height}"

    async def _wait(self, _: None) -> None:
        """Wait until the widgets of the screen have handled their messages; often, but not always."""
        if self._random.random() < 0.7:
            while True:
                with contextlib.suppress(WaitForScreenTimeout):  # the machine is busy: FREEZE_SECONDS decides
                    await self._pilot._wait_for_screen()
                    return

    async def _settle(self) -> None:
        """Wait until every widget of the screen runs."""
        await self._wait(None)
        while dead := [node for node in _shown(self._app.screen) if not node.is_running]:
            self._check()
            try:
                async with asyncio.timeout(FREEZE_SECONDS / 3):
                    while any(not node.is_running and node.is_attached for node in dead):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            except TimeoutError:
                raise AssertionError(f"widgets that take no message: {dead}") from None
            await asyncio.sleep(0)

    def _check(self) -> None:
        if self._app._exception:
            raise self._app._exception
        assert self._app.is_running, "the app has ended"
        assert self._app._exit_renderables == [], "the app is ending"


def _shown(screen: Screen[object]) -> list[DOMNode]:
    return list(screen.walk_children(with_self=True))


async def start_worker(backend: str, log: Path) -> EngineProcess:
    """Fork a worker; refuse the backends that take minutes to build an engine."""
    if backend not in fork_server.BACKENDS_HERE:
        raise EngineError("not-for-monkeys", "The monkey does not build this one.", "Take another.")
    return await fork_server.start_forked(backend, log)


def settings() -> Settings:
    """Return settings with two engines that start quickly and short answers."""
    engine = EngineChoice("openvino", "int8")
    chosen = Settings(checkpoint=DEMO, context=512, chosen=True, left=engine, right=engine)
    return sampled(chosen, Sampling(max_tokens=24, ignore_eos=True))


def save_conversations() -> None:
    """Save two conversations, for the list."""
    for prompt in ("What is a KV cache?", "Tell me a story."):
        file, conversation = ConversationFile(conversation_folder()), Conversation()
        conversation.add(Turn(prompt=prompt, answer="An answer.", reason="stop"))
        file.append_turn("left", conversation)
        file.close()


async def run(
    seed: int,
    keys: int,
    size: tuple[int, int],
    *,
    chosen: bool = True,
    before_step: Callable[[], None] = lambda: None,
) -> Outcome:
    """Let a monkey loose on a new app; uses the folders of the environment.

    Args:
        seed: of every random choice. Timing is not repeated exactly.
        keys: how many steps to take.
        size: of the terminal at the start, in cells.
        chosen: whether the app starts with the chat; otherwise with its first start.
        before_step: called before each step.
    """
    outcome = Outcome(seed, size)
    save_conversations()
    playground = MonkeyPlayground(replace(settings(), chosen=chosen), start_worker=start_worker)
    try:
        async with playground.run_test(size=size, notifications=True, tooltips=True) as pilot:
            await Monkey(pilot, outcome, before_step).run(keys)
    except Exception as error:
        outcome.failure = outcome.failure or f"while closing: {''.join(traceback.format_exception(error))}"
    return outcome


@contextlib.contextmanager
def own_home() -> Iterator[None]:
    """Use an empty home folder: the monkey writes and deletes files."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        for name in ("CONFIG", "CACHE", "DATA", "STATE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(folder) / name.lower())
        os.environ["XDG_DOCUMENTS_DIR"] = os.environ["XDG_DOWNLOAD_DIR"] = folder
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.chdir(folder)
        yield


def campaign(seeds: range, keys: int, size: tuple[int, int]) -> list[Outcome]:
    """Run one monkey a seed, one after another, each with `keys` steps; return what became of them."""
    outcomes = []
    for seed in seeds:
        with own_home():
            outcomes.append(asyncio.run(run(seed, keys, size, chosen=seed % 4 != 0, before_step=_watch)))
            faulthandler.cancel_dump_traceback_later()
        if server := fork_server.running():
            server.close()
        print_outcome(outcomes[-1])
    return outcomes


def _watch() -> None:
    """End with a traceback of every thread unless the next step begins in time: the event loop is blocked."""
    faulthandler.dump_traceback_later(FREEZE_SECONDS, exit=True, file=sys.__stderr__)


def print_outcome(outcome: Outcome) -> None:
    """Print a line for a run, and what failed."""
    result = "survived" if outcome.survived else f"FAILED\n{outcome.failure}"
    width, height = outcome.size
    print(f"monkey, seed {outcome.seed}, {width}x{height}: {outcome.tried} steps, {result}", flush=True)


def main() -> None:
    """Run the command line; the exit status is 1 if a run failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--runs", type=int, default=1, help="each with the next seed")
    parser.add_argument("--keys", type=int, default=5000, help="steps of each run")
    parser.add_argument("--size", default="80x24", help="of the terminal")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    outcomes = campaign(range(given.seed, given.seed + given.runs), given.keys, (width, height))
    sys.exit(not all(outcome.survived for outcome in outcomes))


if __name__ == "__main__":
    main()

"""The app with a control socket: `python -m tests.benchmarks.inside DESCRIPTOR SETTINGS [paced]`.

The real app on the real terminal driver. It answers requests on the socket DESCRIPTOR, one JSON object per
line, for what cannot be measured from outside: event loop lag, widgets, the engines' time stamps.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.state.settings import paths
from app.state.settings.settings import ChatOptions, Settings, TimingMode, load_settings
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.widgets.chat.prompt import PromptInput
from engines.build.prepare import StartWorker
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.benchmarks.environment import PROJECT
from tests.doubles.paced_worker import interpreter, register

PROBE_SECONDS = 0.005
POLL_SECONDS = 0.01


class WatchedSide(Side):
    """Keeps the time stamps of the answer in progress."""

    stamps: tuple[int, ...] = ()

    def clear_rate(self) -> None:
        """Start another answer."""
        self.stamps = ()
        super().clear_rate()

    def add_tokens(self, times_ns: Sequence[int]) -> None:
        """Keep the stamps of a chunk."""
        self.stamps += tuple(times_ns)
        super().add_tokens(times_ns)


class WatchedPlayground(Playground):
    """The app with handlers for requests: `serve_NAME` answers the request NAME."""

    CSS_PATH = str(PROJECT / "app" / Playground.CSS_PATH)

    def __init__(self, settings: Settings, channel: socket.socket, paced: bool) -> None:
        start: StartWorker = EngineProcess.start
        if paced:
            start = functools.partial(EngineProcess.start, python=interpreter(paths.log_folder()))
        super().__init__(settings, start_worker=start, side_class=WatchedSide)
        self._channel = channel
        self._lags: list[float] = []
        self._probe: asyncio.Task[None] | None = None
        self._server: asyncio.Task[None] | None = None

    def on_ready(self) -> None:
        """Start to serve requests."""
        self._server = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self._channel)
        while line := await reader.readline():
            request = json.loads(line)
            handler: Callable[..., Awaitable[object]] = getattr(self, f"serve_{request.pop('name')}")
            try:
                reply = {"reply": await handler(**request)}
            except Exception as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()

    @property
    def chat(self) -> ChatScreen:
        """The chat screen, also while another screen covers it."""
        return next(screen for screen in self.screen_stack if isinstance(screen, ChatScreen))

    async def serve_ready(self) -> None:
        """Wait for both engines."""
        while not all(side.phase is Phase.READY for side in self.sides):
            for side in self.sides:
                if side.phase is Phase.FAILED and side.error:
                    raise RuntimeError(f"{side.title}: {side.error.message} {side.error.detail}")
            await asyncio.sleep(POLL_SECONDS)

    async def serve_write(self, text: str) -> None:
        """Put a prompt into the box, as pasting does; the caller presses Enter."""
        self.chat.query_one(PromptInput).load_text(text)

    async def serve_set(self, mode: str, max_tokens: int, seed: int = 0) -> None:
        """Set the timing mode, the length of answers and (as the seed) the rate of the paced engine."""
        chat = ChatOptions(sampling=Sampling(max_tokens=max_tokens, seed=seed, ignore_eos=True))
        self.change_settings(timing=TimingMode(mode), left_chat=chat, right_chat=chat)

    async def serve_answered(self, turns: int) -> list[dict[str, object]]:
        """Wait until `turns` turns are answered and drawn; return the metrics of the last one per side."""
        await _until(lambda: all(len(side.conversation.turns) >= turns for side in self.sides))
        await _until(lambda: all(w.is_finished for w in self.workers if w.group == "answer"))
        return [_answer_metrics(side) for side in self.sides]

    async def serve_cleared(self) -> None:
        """Wait until the conversation is cleared."""
        await _until(lambda: not any(side.conversation.turns for side in self.sides))

    async def serve_compared(self) -> None:
        """Wait until Compare shows what every engine expects."""
        await _until(lambda: isinstance(self.screen, CompareScreen) and shows_all(self.screen))

    async def serve_streaming(self, tokens: int) -> None:
        """Wait until the left side has generated `tokens` tokens of its answer."""

        def streams() -> bool:
            side = self.left  # read each time: the sides may be swapped meanwhile
            return isinstance(side, WatchedSide) and side.phase is Phase.DECODE and len(side.stamps) >= tokens

        await _until(streams)

    async def serve_probe(self) -> None:
        """Start to measure the event loop's lag."""
        self._lags = []
        self._probe = asyncio.create_task(self._watch_loop())

    async def serve_lags(self) -> list[float]:
        """Stop measuring; return by how many seconds each sleep was late."""
        if self._probe:
            self._probe.cancel()
        return self._lags

    async def serve_state(self) -> dict[str, object]:
        """Return widget count, memory, CPU time, engine pids, panels and terminal size."""
        engines = [side.pid for side in self.sides if side.pid]
        return {
            "widgets": sum(1 for _ in self.chat.walk_children()),
            "resident": psutil.Process().memory_info().rss,
            "cpu_seconds": time.process_time(),
            "engines": engines,
            "panels": self.settings.panels,
            "size": tuple(self.size),
        }

    async def _watch_loop(self) -> None:
        while True:
            asleep = time.perf_counter()
            await asyncio.sleep(PROBE_SECONDS)
            self._lags.append(time.perf_counter() - asleep - PROBE_SECONDS)


def shows_all(screen: CompareScreen) -> bool:
    """Return whether everything is computed and shown."""
    is_drawn = screen.is_mounted and screen.view.is_current and screen.view.engine is not None
    return is_drawn and not screen.comparison.step


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(POLL_SECONDS)


def _answer_metrics(side: Side) -> dict[str, Any]:
    turn = side.conversation.turns[-1]
    if turn.error:
        raise RuntimeError(f"{side.title}: {turn.error.message} {turn.error.detail}")
    assert isinstance(side, WatchedSide)
    return {
        "engine": side.title,
        "reason": turn.reason,
        "prompt_tokens": turn.prompt_tokens,
        "last_ns": side.stamps[-1] if side.stamps else None,
        **(asdict(turn.timing) if turn.timing else {}),
    }


def main() -> None:
    """Run until Ctrl+Q."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    channel.setblocking(False)
    paced = "paced" in sys.argv[3:]
    if paced:
        register()
    WatchedPlayground(load_settings(Path(sys.argv[2])), channel, paced).run()


if __name__ == "__main__":
    main()

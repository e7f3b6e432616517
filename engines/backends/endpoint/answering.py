"""One answer of a server: send the request, drop what is refused, read the stream, count the tokens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx2

from engines.backends.base import Stopped
from engines.backends.endpoint.chat_stream import Reading
from engines.backends.endpoint.connection import Connection
from engines.backends.endpoint.dialects.dialect import Dialect
from engines.backends.endpoint.failures import RETRIED, StatusError
from engines.backends.endpoint.refusals import Refusals
from engines.backends.endpoint.stop_cut import StopCut
from engines.backends.remote import Conversation, Ended, Piece, Started
from engines.errors import EngineError
from engines.worker.context_window import turn_starts, without_oldest
from engines.worker.protocol import ServerAnswer, ServerFacts

RETRY_SECONDS = 60.0
"""How long a full queue, or a model that is being loaded, is waited for."""
RETRY_POLL = 1.0
STEP_SECONDS = 0.02
CONFIRM_SECONDS = 0.5
"""How long a server may take to notice that an answer was stopped, before that is reported."""
CHARACTERS_PER_TOKEN = 4.0
"""Of English text, for an estimate."""


class Answering:
    """Asks one server for answers, and remembers what it refused."""

    def __init__(
        self, http: Connection, dialect: Dialect, facts: ServerFacts, log: Callable[[str], None]
    ) -> None:
        self._http, self._dialect, self._facts, self._log = http, dialect, facts, log
        self._refusals = Refusals()

    def answer(
        self,
        conversation: Conversation,
        begin: Callable[[Started], None],
        take: Callable[[Piece], None],
        stopped: Stopped,
        *,
        confirm: bool = True,
    ) -> Ended:
        """Answer a conversation; see `RemoteBackend.answer`. Called from any thread, also several at once.

        A stream that ends without a finish reason, as that of a killed server, is an error.

        Args:
            confirm: whether a stopped answer is counted, and the server asked whether it still computes.
        """
        texts: list[str] = []

        def taken(piece: Piece) -> None:
            texts.append(piece.thought + piece.text)
            take(piece)

        cut = StopCut(conversation.sampling.stop if self._dialect.streams_stop else (), taken)
        left_out = 0
        until = time.monotonic() + RETRY_SECONDS
        while True:
            reading = self._reading(begin, cut.take, left_out)
            body = self._refusals.without(self._dialect.body(conversation, self._facts))
            try:
                was_stopped = self._ask(body, reading, cut, stopped)
                break
            except StatusError as error:
                if error.code == "context-full" and conversation.trim and (turns := _older(conversation)):
                    dropped = (turns + 1) // 2
                    left_out += dropped
                    kept = without_oldest(conversation.messages, dropped)
                    conversation = replace(conversation, messages=kept)
                elif error.status in RETRIED and time.monotonic() < until:
                    self._wait(error.retry_after or RETRY_POLL, stopped)
                elif not self._refusals.take(error, body):
                    raise
                if stopped():
                    return Ended("stopped", ServerAnswer(0, "server", cancelled="confirmed"))
        if not was_stopped and not reading.is_complete:
            raise EngineError(
                "answer-cut",
                f"{self._http.host} closed the connection before its answer was complete.",
                "Look at the server's log, then try again (R).",
            )
        if was_stopped and not confirm:
            return Ended("stopped", ServerAnswer(reading.counted, "server"))
        cancelled = self._confirm() if was_stopped else ""
        return self._ended(reading, "".join(texts), was_stopped=was_stopped, cancelled=cancelled)

    def _reading(
        self, begin: Callable[[Started], None], take: Callable[[Piece], None], left_out: int
    ) -> Reading:
        sent = time.monotonic_ns()

        def begun(prompt_ids: tuple[int, ...], prompt_tokens: int) -> None:
            begin(Started(sent, prompt_ids, prompt_tokens, left_out))

        return Reading(self._http.host, take, begun)

    def _ask(self, body: dict[str, object], reading: Reading, cut: StopCut, stopped: Stopped) -> bool:
        """Send the request and read the answer, also the part before an error.

        Returns whether it was stopped.
        """
        path = self._dialect.api(self._facts, self._dialect.chat_path)

        def take(response: httpx2.Response) -> AsyncIterator[None]:
            return self._dialect.read(response, reading)

        try:
            return self._http.run(path, body, take, stopped)
        finally:
            cut.flush()

    @staticmethod
    def _wait(seconds: float, stopped: Stopped) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stopped():
            time.sleep(STEP_SECONDS)

    def _confirm(self) -> str:
        """Return whether the server has stopped computing, by its metrics; empty if it does not report it."""
        if not self._facts.metrics:
            return ""
        until = time.monotonic() + CONFIRM_SECONDS
        while True:
            running = None
            with suppress(EngineError):
                usage = self._dialect.usage()
                running = usage.running if usage else None
            if running is None:
                return ""
            if not running:
                return "confirmed"
            if time.monotonic() > until:
                return "running"
            time.sleep(STEP_SECONDS)

    def _ended(self, reading: Reading, text: str, *, was_stopped: bool, cancelled: str) -> Ended:
        tokens, counted_by = self._tokens(reading, text)
        figures: dict[str, Any] = dict(reading.figures)
        answer = ServerAnswer(
            tokens=tokens,
            counted_by=counted_by,
            prompt_tokens=reading.prompt_tokens,
            thought_tokens=reading.thought_tokens,
            ignored_sampling=tuple(dict.fromkeys((*self._dialect.ignored, *self._refusals.sampling))),
            cancelled=cancelled,
            **figures,
        )
        cached, prompt = reading.cached, reading.prompt_tokens
        if cached is not None and prompt is not None and cached > prompt:
            cached = None
        return Ended("stopped" if was_stopped else reading.reason or "stop", answer, cached)

    def _tokens(self, reading: Reading, text: str) -> tuple[int, str]:
        """Return the length of the answer and how it was counted; an aborted answer has no usage."""
        if reading.tokens is not None:
            return max(reading.tokens, reading.counted), "server"
        if reading.counted:
            return reading.counted, "server"
        if not text:
            return 0, "server"
        with suppress(EngineError):
            return self._dialect.count_answer(self._facts, text), "tokenizer"
        return max(1, round(len(text) / CHARACTERS_PER_TOKEN)), "estimate"


def _older(conversation: Conversation) -> int:
    """Return how many turns come before the last prompt."""
    return len(turn_starts(conversation.messages)) - 1

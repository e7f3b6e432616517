"""Writes the events of an answer into its turn."""

from __future__ import annotations

import time

from app.state.conversation.token_stamps import spread, token_stamps
from app.state.conversation.turn import Turn
from engines.measure.timing import NANOSECONDS, Timing, timing
from engines.worker import protocol

NO_ENGINE = protocol.Error(0, "no-engine", "This side has no engine.", "Choose one with F2.")
REPLACED = protocol.Error(
    0, "engine-replaced", "The engine was replaced before it answered.", "Ctrl+R asks again."
)
SHORT, PARTS = 65_536, 64
"""Up to SHORT characters and tokens the turn has every chunk; a longer answer lacks at most 1/PARTS of it."""


class AnswerRecorder:
    """Fills one turn while its answer arrives."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._start_ns: int | None = None
        self._times: list[int] = []
        self._token_ids: list[int] = []
        self._characters: list[int] = []
        """That came with each of these tokens."""
        self._waited_ns = 0
        """From the prompt to the request."""
        self._first_output: int | None = None
        """Place of the first token of the answer among all tokens, thoughts included."""
        turn.thought_tokens = 0
        self._pieces = False
        """Whether the times are of pieces of text, in which the server does not count the tokens."""
        self._texts: dict[bool, list[str]] = {False: [], True: []}
        """Text that the turn does not have yet: of the answer, and of its thought."""
        self._waiting = 0
        """Characters and tokens that it does not have yet."""

    def take(self, event: protocol.Event) -> None:
        """Record an event; those that say nothing of the answer are ignored."""
        match event:
            case protocol.Prompt():
                self._prompt(event)
            case protocol.Chunk():
                self._chunk(event)
            case protocol.Done():
                self._done(event)
            case protocol.Error():
                self._turn.error = event
                self.complete()

    def complete(self) -> None:
        """Give the turn everything that was received, also when no last event has come."""
        if not self._turn.reason:
            self._append()
            self._time()

    def _prompt(self, event: protocol.Prompt) -> None:
        turn = self._turn
        self._start_ns, turn.cached = event.t_ns, event.cached
        if turn.asked_at is not None:
            passed = time.time() - turn.asked_at
            self._waited_ns = round(passed * NANOSECONDS) - (time.monotonic_ns() - event.t_ns)
        turn.left_out, turn.merged_system = event.left_out, event.merged_system
        turn.rewritten, turn.rewritten_cause = event.rewritten, event.rewritten_cause
        turn.prompt_tokens, turn.prompt_digest = event.tokens, event.digest

    def _chunk(self, event: protocol.Chunk) -> None:
        if event.thought:
            self._turn.thought_tokens = (self._turn.thought_tokens or 0) + len(event.t_ns)
        elif event.text and self._first_output is None:
            self._first_output = len(self._times)
        self._token_ids += event.token_ids
        self._times += event.t_ns
        self._pieces |= event.unit == "pieces"
        if event.t_ns:
            self._characters += spread(len(event.text), len(event.t_ns))
        elif self._characters:  # the end of a text that was held back
            self._characters[-1] += len(event.text)
        self._texts[event.thought].append(event.text)
        self._waiting += len(event.text) + len(event.token_ids)
        # Appending copies the answer. A long one is copied when it has grown by 1/PARTS, or an answer of
        # a million characters would take minutes.
        if self._waiting >= (self._turn.output_length + len(self._turn.token_ids) - SHORT) // PARTS:
            self._append()

    def _append(self) -> None:
        self._turn.answer += "".join(self._texts[False])
        self._turn.thought += "".join(self._texts[True])
        self._turn.token_ids = tuple(self._token_ids)
        self._texts, self._waiting = {False: [], True: []}, 0

    def _done(self, event: protocol.Done) -> None:
        turn = self._turn
        turn.answer, turn.token_ids, turn.reason = event.text, event.token_ids, event.reason
        turn.thought = event.thought
        if event.cached is not None:
            turn.cached = event.cached
        if event.server:
            self._take_server(event.server)
        self._time()

    def _take_server(self, server: protocol.ServerAnswer) -> None:
        """Record the counts of a server, which come at the end."""
        turn = self._turn
        turn.server = server
        turn.prompt_tokens = server.prompt_tokens or turn.prompt_tokens
        turn.ignored_sampling = tuple(dict.fromkeys((*turn.ignored_sampling, *server.ignored_sampling)))
        if self._pieces:
            turn.thought_tokens = server.thought_tokens if turn.thought else 0

    def _time(self) -> None:
        turn = self._turn
        if self._start_ns is None:
            turn.timing = Timing(tokens=len(self._times))
        else:
            tokens = turn.server.tokens if self._pieces and turn.server else None
            turn.timing = timing(
                self._start_ns, self._times, turn.prompt_tokens, turn.cached, self._first_output, tokens
            )
            turn.stamps = token_stamps(self._start_ns, self._times, self._characters, self._waited_ns)

"""Writes the events of an answer into its turn."""

from __future__ import annotations

from app.state.conversation.turn import Turn
from engines.measure.timing import timing
from engines.worker import protocol

NO_ENGINE = protocol.Error(0, "no-engine", "This side has no engine.", "Choose one with F2.")
REPLACED = protocol.Error(
    0, "engine-replaced", "The engine was replaced before it answered.", "Ctrl+R asks again."
)


class AnswerRecorder:
    """Fills one turn while its answer arrives."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._start_ns = 0
        self._times: list[int] = []

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
                self._time()

    def _prompt(self, event: protocol.Prompt) -> None:
        turn = self._turn
        self._start_ns, turn.cached = event.t_ns, event.cached
        turn.left_out = event.left_out
        turn.prompt_tokens, turn.prompt_digest = event.tokens, event.digest

    def _chunk(self, event: protocol.Chunk) -> None:
        self._turn.answer += event.text
        self._turn.token_ids += event.token_ids
        self._times += event.t_ns

    def _done(self, event: protocol.Done) -> None:
        turn = self._turn
        turn.answer, turn.token_ids, turn.reason = event.text, event.token_ids, event.reason
        turn.cached = event.cached if event.cached is not None else turn.cached
        self._time()

    def _time(self) -> None:
        turn = self._turn
        turn.timing = timing(self._start_ns, self._times, turn.prompt_tokens, turn.cached)

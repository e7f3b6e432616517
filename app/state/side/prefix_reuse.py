"""How many prompt tokens an engine found in its KV cache, over a whole conversation."""

from __future__ import annotations

from app.state.conversation.turn import Turn


class PrefixReuse:
    """Adds up each ended turn once, because the sum is read four times a second."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._engine = ""
        self._ended = 0
        """How many turns are in the sums."""
        self._prompt = self._cached = 0

    def of(self, turns: list[Turn], engine: str) -> tuple[int, int]:
        """Return the prompt tokens sent to this engine, and how many of them were cached.

        Turns of another engine, and turns whose cached tokens the library did not report, are left out.

        Args:
            turns: the shown turns of a conversation. The same list object may only have grown since.
            engine: title of the engine.
        """
        if turns is not self._turns or engine != self._engine or len(turns) < self._ended:
            self._turns, self._engine = turns, engine
            self._ended = self._prompt = self._cached = 0
        for turn in turns[self._ended : -1]:
            prompt, cached = _tokens(turn, engine)
            self._prompt += prompt
            self._cached += cached
            self._ended += 1
        prompt, cached = _tokens(turns[-1], engine) if turns else (0, 0)
        return self._prompt + prompt, self._cached + cached


def _tokens(turn: Turn, engine: str) -> tuple[int, int]:
    if turn.cached is None or turn.engine != engine:
        return 0, 0
    return turn.prompt_tokens, turn.cached

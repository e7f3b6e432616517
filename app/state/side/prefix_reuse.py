"""How much of the prompts an engine found in its KV cache, over a whole conversation."""

from __future__ import annotations

from app.state.conversation.conversation import Turn


class PrefixReuse:
    """Asked four times a second: the turns that have ended are added up once."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._engine = ""
        self._ended = 0
        """How many turns are added up."""
        self._prompt = self._cached = 0

    def of(self, turns: list[Turn], engine: str) -> tuple[int, int]:
        """Prompt tokens asked of this engine, and how many of them were in its cache.

        Turns of another engine, and those of which the library does not say it, are left out. A list that
        was seen before may only have grown.
        """
        if turns is not self._turns or engine != self._engine or len(turns) < self._ended:
            self._turns, self._engine = turns, engine
            self._ended = self._prompt = self._cached = 0
        for turn in turns[self._ended : -1]:
            prompt, cached = _tokens(turn, engine)
            self._prompt, self._cached, self._ended = (
                self._prompt + prompt,
                self._cached + cached,
                self._ended + 1,
            )
        prompt, cached = _tokens(turns[-1], engine) if turns else (0, 0)
        return self._prompt + prompt, self._cached + cached


def _tokens(turn: Turn, engine: str) -> tuple[int, int]:
    if turn.cached is None or turn.engine != engine:
        return 0, 0
    return turn.prompt_tokens, turn.cached

"""Which turns of a conversation fill the context window of an engine, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.state.conversation.turn import Turn
from engines.worker.context_window import prompt_limit


@dataclass(frozen=True)
class ContextMap:
    """The context window after the last turn. All figures are tokens."""

    context: int
    """Size of the context window."""
    turns: tuple[int, ...] = ()
    """Tokens of each turn in it, prompt and answer, oldest first; the first has the system prompt too."""
    left_out: int = 0
    """How many older turns were dropped, because they did not fit."""
    reused: int = 0
    """How many tokens of the last prompt were in the KV cache already."""

    @property
    def used(self) -> int:
        """Where the next turn starts."""
        return sum(self.turns)

    @property
    def limit(self) -> int:
        """The longest prompt for which no turn is dropped."""
        return prompt_limit(self.context)


def context_map(turns: Sequence[Turn], context: int) -> ContextMap | None:
    """Return the map of a conversation; None while the size of the context window is not known.

    Args:
        turns: the shown turns, oldest first. Those without an answer are not sent with later prompts.
        context: of the side's engine, in tokens.
    """
    if context <= 0:
        return None
    sent = [turn for turn in turns[:-1] if turn.answered and turn.prompt_tokens]
    sent += [turn for turn in turns[-1:] if turn.prompt_tokens]
    if not sent:
        return ContextMap(context)
    sums = [0]
    """Tokens of all turns up to each one, those that were dropped later included."""
    for number, turn in enumerate(sent):
        before = sums[-1] - sums[min(turn.left_out, number)]
        sums.append(sums[-1] + max(0, turn.prompt_tokens + turn.answer_tokens - before))
    last = sent[-1]
    first = min(last.left_out, len(sent) - 1)
    lengths = [after - start for start, after in zip(sums[first:], sums[first + 1 :], strict=False)]
    return ContextMap(context, tuple(lengths), first, min(last.cached or 0, last.prompt_tokens))

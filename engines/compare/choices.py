"""Questions with four options: which one an engine finds most likely, and where that differs from another's.

An option's score is the sum of its tokens' log-probabilities after the question, the ln-probability of the
whole option. A mean over its tokens would prefer words that a tokenizer cuts into many pieces, because the
later ones are nearly certain. Differences of the answers are the "flips" of arXiv 2407.09141: two engines of
equal accuracy may have many.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import fsum

from engines.compare.comparison import ChoiceResult
from engines.compare.engine import ComparedEngine
from engines.compare.text import FOLDER

TokenIds = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """A question with its options."""

    question: str
    options: tuple[str, ...]
    answer: int
    """Index of the right option."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The question with each of its options."""
        return tuple(f"Question: {self.question}\nAnswer: {option}" for option in self.options)


@dataclass(frozen=True)
class TokenizedChoice:
    """A question with each of its options as token ids, as all engines get it."""

    rows: tuple[TokenIds, ...]
    answer: int

    @property
    def tokens(self) -> int:
        """Tokens to score."""
        return sum(map(len, self.rows))

    @property
    def first(self) -> int:
        """Index of the first token that is not the same for all options."""
        return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*self.rows, strict=False)))


def shipped_choices() -> tuple[Choice, ...]:
    """Return the questions that ship with the project. Options are in alphabetical order."""
    items = tomllib.loads((FOLDER / "choices.toml").read_text("utf-8"))["items"]
    found = []
    for item in items:
        options = tuple(sorted((item["right"], *item["wrong"])))
        found.append(Choice(item["question"], options, options.index(item["right"])))
    return tuple(found)


async def tokenized(engine: ComparedEngine, choices: Sequence[Choice]) -> tuple[TokenizedChoice, ...]:
    """Return the token ids of all questions and options.

    Raises:
        EngineError: the tokenizer fails.
    """
    rows = iter(await engine.tokenize_all([text for choice in choices for text in choice.texts]))
    return tuple(
        TokenizedChoice(tuple(next(rows) for _ in choice.options), choice.answer) for choice in choices
    )


async def answered(
    engine: ComparedEngine, choices: Sequence[TokenizedChoice], on_tokens: Callable[[int], None]
) -> ChoiceResult:
    """Return the options that an engine finds most likely; its flips are those against itself, none.

    Args:
        on_tokens: called after each question with the number of tokens that were scored for it.

    Raises:
        EngineError: the engine cannot score.
    """
    chosen = []
    for choice in choices:
        scores = [(await engine.score(row, 0)).logprobs for row in choice.rows]
        chosen.append(most_likely(choice, scores))
        on_tokens(choice.tokens)
    correct = sum(one == choice.answer for one, choice in zip(chosen, choices, strict=True))
    return ChoiceResult(tuple(chosen), correct)


def most_likely(choice: TokenizedChoice, logprobs: Sequence[Sequence[float]]) -> int:
    """Return the option with the largest sum of log-probabilities, the first one of equal ones.

    Args:
        logprobs: of the tokens after the first, for each option.
    """
    start = max(0, choice.first - 1)
    sums = [fsum(values[start:]) for values in logprobs]
    return sums.index(max(sums))


def flips(reference: Sequence[int], chosen: Sequence[int]) -> int:
    """Return how many questions have another answer than the reference's."""
    return sum(one != other for one, other in zip(reference, chosen, strict=True))

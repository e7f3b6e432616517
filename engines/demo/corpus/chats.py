"""Whole chats: exchanges on many subjects in a row, with an optional system prompt and a name to remember."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engines.demo.corpus.lists import list_exchange
from engines.demo.corpus.names import ask_name, some_name, tell_name
from engines.demo.corpus.stories import story_exchange
from engines.demo.corpus.sums import sum_exchange
from engines.demo.corpus.topics import topic_exchange
from engines.demo.corpus.turns import Exchange, Turn, disturb, normalise
from engines.demo.corpus.unknown import unknown_exchange

SYSTEM_PROMPTS = (
    "You are a helpful assistant.", "You are a friendly assistant.", "You are the demo model of trt-playground.", "Be kind and honest.",
    "You are a helpful AI assistant. Answer the questions of the user.", "Answer in English.", "You answer questions about inference engines.",
    "You are an expert on language models.", "Be polite.", "You are a chatbot.", "Help the user.", "Say so when you do not know something.",
)  # fmt: skip
BRIEF_PROMPTS = (
    "Answer briefly.", "Be brief.", "Answer in one sentence.", "Keep your answers short.", "You are a helpful assistant. Answer briefly.",
    "Give short answers.", "Use one sentence only.",
)  # fmt: skip

# How often each kind of exchange comes up; topics are most of what people will ask.
KINDS: tuple[tuple[Callable[[random.Random, bool], Exchange], float], ...] = (
    (topic_exchange, 0.64),
    (story_exchange, 0.07),
    (sum_exchange, 0.1),
    (list_exchange, 0.09),
    (unknown_exchange, 0.1),
)


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, ready to be turned into tokens."""

    system: str | None
    turns: tuple[Turn, ...]

    def messages(self) -> list[dict[str, str]]:
        """The form that chat templates take."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns:
            messages += [
                {"role": "user", "content": turn.question},
                {"role": "assistant", "content": turn.answer},
            ]
        return messages


def _mistyped(turn: Turn, rng: random.Random) -> Turn:
    if turn.theme == "names":  # a name has to be copied letter by letter, so it is never mistyped
        question = turn.question.lower() if rng.random() < 0.15 else turn.question
        return Turn(question.rstrip(".?") if rng.random() < 0.3 else question, turn.answer, turn.theme)
    return Turn(disturb(turn.question, rng, wrap=turn.theme != "stories"), turn.answer, turn.theme)


class ChatWriter:
    """Writes chats from one random generator, without the wordings that are held out."""

    def __init__(self, rng: random.Random, banned: frozenset[str]) -> None:
        self._rng = rng
        self._banned = banned

    def chat(self, exchanges: int) -> Chat:
        """A chat of so many exchanges."""
        return self._written(lambda count, _: count >= exchanges)

    def long_chat(self, characters: int) -> Chat:
        """A chat on many subjects that goes on until it has so many characters."""
        return self._written(lambda _, length: length >= characters)

    def _written(self, done: Callable[[int, int], bool]) -> Chat:
        system, brief = self._system()
        turns: list[Turn] = []
        for count, exchange in enumerate(self._exchanges(brief)):
            if done(count, sum(len(turn.question) + len(turn.answer) for turn in turns)):
                break
            turns += exchange
        return Chat(system, tuple(turns))

    def _system(self) -> tuple[str | None, bool]:
        roll = self._rng.random()
        if roll < 0.04:
            return self._rng.choice(BRIEF_PROMPTS), True
        return (self._rng.choice(SYSTEM_PROMPTS), False) if roll < 0.16 else (None, False)

    def _exchanges(self, brief: bool) -> Iterator[Exchange]:
        name: str | None = None
        while True:
            roll = self._rng.random()
            if roll < (0.07 if name is None else 0.02):
                name = some_name(self._rng)
                exchange: Exchange = (tell_name(name, self._rng),)
            elif roll < (0.08 if name is None else 0.16):
                exchange = (ask_name(name, self._rng),)
            else:
                exchange = self._allowed(brief)
            yield exchange

    def _allowed(self, brief: bool) -> Exchange:
        kinds, weights = zip(*KINDS, strict=True)
        while True:
            kind = self._rng.choices(kinds, weights)[0]
            exchange = tuple(_mistyped(turn, self._rng) for turn in kind(self._rng, brief))
            if not any(normalise(turn.question) in self._banned for turn in exchange):
                return exchange

"""Chats as rows of token ids, of two shapes: whole contexts and fresh, short chats."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from engines.demo.corpus import Chat, ChatWriter, held_out_wordings
from engines.demo.tokenizer import ASSISTANT, BEGIN, CONTEXT, END, SPECIAL, SYSTEM, USER

SHORT = 256
"""Tokens in a row that holds one fresh chat: most first questions and their follow-ups fit."""
NOT_TRAINED = -100
ROWS_A_TASK = 64

Rows = tuple[np.ndarray, np.ndarray]
"""Token ids and, of the same shape, whether the token is one that the model has to write."""


def sample_texts(seed: int, chats: int) -> Iterator[str]:
    """Texts for the tokenizer."""
    writer = ChatWriter(random.Random(f"{seed} tokenizer"), held_out_wordings())
    for _ in range(chats):
        for message in writer.chat(4).messages():
            yield message["content"]


@dataclass
class ChatEncoder:
    """Turns chats into token ids, in exactly the form of the chat template."""

    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        names = (BEGIN, SYSTEM, USER, ASSISTANT, END)
        self._marks: dict[str, int] = {name: SPECIAL.index(name) for name in names}
        self._known: dict[str, list[int]] = {}

    def encode(self, chat: Chat) -> tuple[list[int], list[bool]]:
        """The ids of a chat and which of them are the model's own words."""
        ids, own = [self._marks[BEGIN]], [False]
        for message in chat.messages():
            is_answer = message["role"] == "assistant"
            text = self._text(message["content"], keep=is_answer)
            ids += [self._marks[f"<|{message['role']}|>"], *text, self._marks[END]]
            own += [False] + [is_answer] * (len(text) + 1)
        return ids, own

    def _text(self, text: str, keep: bool) -> list[int]:
        known = self._known.get(text)
        if known is None:
            known = list(self.tokenizer.encode(text, add_special_tokens=False).ids)
            if keep and len(text) < 900:
                self._known[text] = known
        return known


def _window(writer: ChatWriter, encoder: ChatEncoder, rng: random.Random) -> tuple[list[int], list[bool]]:
    """A whole context: one long chat half of the time, else several shorter ones in a row."""
    if rng.random() < 0.5:
        return encoder.encode(writer.long_chat(6 * CONTEXT))
    ids: list[int] = []
    own: list[bool] = []
    while len(ids) <= CONTEXT:
        more_ids, more_own = encoder.encode(writer.chat(rng.choice((1, 2, 3, 5, 8))))
        ids, own = ids + more_ids, own + more_own
    return ids, own


def _rows(task: tuple[int, str, int]) -> Rows:
    seed, kind, number = task
    rng = random.Random(f"{seed} {kind} {number}")
    writer = ChatWriter(rng, held_out_wordings())
    width = (
        CONTEXT if kind == "long" else SHORT
    ) + 1  # one more: each token is predicted from those before it
    all_ids = np.zeros((ROWS_A_TASK, width), dtype=np.int16)
    all_own = np.zeros((ROWS_A_TASK, width), dtype=bool)
    for row in range(ROWS_A_TASK):
        ids, own = _window(writer, _ENCODER[0], rng) if kind == "long" else _fresh(writer, _ENCODER[0], rng)
        length = min(width, len(ids))
        all_ids[row, :length], all_own[row, :length] = ids[:length], own[:length]
    return all_ids, all_own


def _fresh(writer: ChatWriter, encoder: ChatEncoder, rng: random.Random) -> tuple[list[int], list[bool]]:
    return encoder.encode(writer.chat(rng.choice((1, 1, 2, 3))))


_ENCODER: list[ChatEncoder] = []


def _start(tokenizer: str) -> None:
    _ENCODER[:] = [ChatEncoder(Tokenizer.from_str(tokenizer))]


def build(tokenizer: Tokenizer, seed: int, kind: str, rows: int, processes: int) -> Rows:
    """So many rows of a kind; the same seed gives the same rows with any number of processes."""
    tasks = [(seed, kind, number) for number in range(-(-rows // ROWS_A_TASK))]
    context = multiprocessing.get_context("fork")  # a child needs no library of its own
    with context.Pool(processes, initializer=_start, initargs=(tokenizer.to_str(),)) as pool:
        parts = pool.map(_rows, tasks, chunksize=1)
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([own for _, own in parts])

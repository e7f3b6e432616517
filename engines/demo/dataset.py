"""Training rows of token ids in two widths: full contexts and short new chats."""

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
"""Tokens in a row with one short chat: most first questions with their follow-ups fit."""
NOT_TRAINED = -100
ROWS_A_TASK = 64

Rows = tuple[np.ndarray, np.ndarray]
"""Token ids [rows, width] and a mask of the same shape: True for tokens of answers, which are trained."""


def sample_texts(seed: int, chats: int) -> Iterator[str]:
    """Yield the texts that the tokenizer is trained on."""
    writer = ChatWriter(random.Random(f"{seed} tokenizer"), held_out_wordings())
    for _ in range(chats):
        for message in writer.chat(4).messages():
            yield message["content"]


@dataclass
class ChatEncoder:
    """Encodes chats exactly as the chat template renders them."""

    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        names = (BEGIN, SYSTEM, USER, ASSISTANT, END)
        self._marks: dict[str, int] = {name: SPECIAL.index(name) for name in names}
        self._cache: dict[str, list[int]] = {}

    def encode(self, chat: Chat) -> tuple[list[int], list[bool]]:
        """Return the token ids of a chat and a mask of the tokens that are answers."""
        ids, mask = [self._marks[BEGIN]], [False]
        for message in chat.messages():
            is_answer = message["role"] == "assistant"
            text = self._text(message["content"], cache=is_answer)
            ids += [self._marks[f"<|{message['role']}|>"], *text, self._marks[END]]
            mask += [False] + [is_answer] * (len(text) + 1)
        return ids, mask

    def _text(self, text: str, cache: bool) -> list[int]:
        ids = self._cache.get(text)
        if ids is None:
            ids = list(self.tokenizer.encode(text, add_special_tokens=False).ids)
            if cache and len(text) < 900:
                self._cache[text] = ids
        return ids


def _window(writer: ChatWriter, encoder: ChatEncoder, rng: random.Random) -> tuple[list[int], list[bool]]:
    """Return a full context: with equal chance one long chat or several shorter ones in sequence."""
    if rng.random() < 0.5:
        return encoder.encode(writer.long_chat(6 * CONTEXT))
    ids: list[int] = []
    mask: list[bool] = []
    while len(ids) <= CONTEXT:
        more_ids, more_mask = encoder.encode(writer.chat(rng.choice((1, 2, 3, 5, 8))))
        ids, mask = ids + more_ids, mask + more_mask
    return ids, mask


def _rows(task: tuple[int, str, int]) -> Rows:
    seed, kind, number = task
    rng = random.Random(f"{seed} {kind} {number}")
    writer = ChatWriter(rng, held_out_wordings())
    # One token more: inputs and targets are shifted by one.
    width = (CONTEXT if kind == "long" else SHORT) + 1
    all_ids = np.zeros((ROWS_A_TASK, width), dtype=np.int16)
    masks = np.zeros((ROWS_A_TASK, width), dtype=bool)
    for row in range(ROWS_A_TASK):
        chat = _window if kind == "long" else _short_chat
        ids, mask = chat(writer, _ENCODER[0], rng)
        length = min(width, len(ids))
        all_ids[row, :length], masks[row, :length] = ids[:length], mask[:length]
    return all_ids, masks


def _short_chat(writer: ChatWriter, encoder: ChatEncoder, rng: random.Random) -> tuple[list[int], list[bool]]:
    return encoder.encode(writer.chat(rng.choice((1, 1, 2, 3))))


_ENCODER: list[ChatEncoder] = []


def _start(tokenizer: str) -> None:
    _ENCODER[:] = [ChatEncoder(Tokenizer.from_str(tokenizer))]


def build(tokenizer: Tokenizer, seed: int, kind: str, rows: int, processes: int) -> Rows:
    """Return at least `rows` rows of a kind (`long` or `short`).

    The same seed gives the same rows with any number of processes.
    """
    tasks = [(seed, kind, number) for number in range(-(-rows // ROWS_A_TASK))]
    context = multiprocessing.get_context("fork")  # children need not import the libraries again
    with context.Pool(processes, initializer=_start, initargs=(tokenizer.to_str(),)) as pool:
        parts = pool.map(_rows, tasks, chunksize=1)
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([mask for _, mask in parts])

"""Encode the text of messages so that no control token comes out of it: a pasted `<|im_end|>` ends no turn.

Control tokens in a message are marked before the chat template is rendered, and encoded as plain text after
it. A prompt without any is encoded as a whole, exactly as transformers does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple

FIRST_MARKER = 0xF0000
"""The first of the characters for private use, which no writing system has."""


class Marks(NamedTuple):
    """Two characters that occur in no message: they enclose each control token in the text of one."""

    start: str
    end: str


class ControlTokens:
    """The control tokens of a tokenizer and a chat template.

    These are its special tokens, the tokens that end an answer, and those added tokens that the template
    writes. Answers may have the last kind, such as `<think>`: the model has written them.

    Args:
        fast: a `tokenizers.Tokenizer`.
        written: the source of the chat template, and what it writes for a short conversation.
        stop_ids: tokens that end an answer.
    """

    def __init__(self, fast: Any, written: str, stop_ids: frozenset[int]) -> None:
        self._fast = fast
        added = fast.get_added_tokens_decoder()
        self._of_answers = stop_ids | {token_id for token_id, token in added.items() if token.special}
        self._ids = self._of_answers | {
            token_id for token_id, token in added.items() if _is_markup(token.content, written)
        }
        tokens = [added[token_id] for token_id in self._ids if token_id in added]
        self._pattern = _any_of(token.content for token in tokens)
        self._normalised_pattern = _any_of(
            self._normalise(token.content) for token in tokens if token.normalized
        )
        # Encoded after a newline, a piece gets no space in front as the start of a text does.
        self._newline = self._plain_ids("\n")

    def mark(self, messages: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], Marks] | None:
        """Return the messages with marked control tokens, and the marks; None where there are none.

        All texts of a message are marked, as its content and its thought.
        """
        spans = [
            {name: self._spans(text, one["role"]) for name, text in one.items() if name != "role"}
            for one in messages
        ]
        if not any(found for places in spans for found in places.values()):
            return None
        marks = _unused(text for one in messages for text in one.values())
        marked = [
            one | {name: _enclose(one[name], found, marks) for name, found in places.items()}
            for one, places in zip(messages, spans)  # noqa: B905 - Python 3.10
        ]
        return marked, marks

    def encode(self, text: str, marks: Marks | None) -> list[int]:
        """Return the ids of a rendered prompt, without those that the tokenizer adds at its ends."""
        if marks is None:
            return list(self._fast.encode(text, add_special_tokens=False).ids)
        # A template that cuts a message may leave one marker of a pair: it separates, and is dropped.
        pieces = re.split(f"{marks.start}([^{marks.start}{marks.end}]*){marks.end}|[{''.join(marks)}]", text)
        ids = list(self._fast.encode(pieces[0], add_special_tokens=False).ids)
        for number, piece in enumerate(pieces[1:], 1):
            if piece:
                ids += self._literal(piece) if number % 2 else self._continued(piece)
        return ids

    def _spans(self, text: str, role: str) -> list[tuple[int, int]]:
        """Return where control tokens are, as the tokenizer finds them, without spaces around them."""
        if not self._pattern.search(text) and not self._normalised_pattern.search(self._normalise(text)):
            return []
        ids = self._of_answers if role == "assistant" else self._ids
        encoding = self._fast.encode(text, add_special_tokens=False)
        found = zip(encoding.ids, encoding.offsets)  # noqa: B905 - Python 3.10
        return [_stripped(text, *offsets) for token_id, offsets in found if token_id in ids]

    def _normalise(self, text: str) -> str:
        normalizer = self._fast.normalizer
        return str(normalizer.normalize_str(text)) if normalizer else text

    def _continued(self, text: str) -> list[int]:
        ids = self._fast.encode("\n" + text, add_special_tokens=False).ids
        return self._without_newline(ids) or list(self._fast.encode(text, add_special_tokens=False).ids)

    def _literal(self, text: str) -> list[int]:
        """Return the ids of a text in which no added token is looked for."""
        ids = self._without_newline(self._plain_ids("\n" + text)) or self._plain_ids(text)
        if self._ids.isdisjoint(ids):
            return ids
        # The vocabulary has it as an ordinary token too, as those of SentencePiece may.
        each = (self._without_newline(self._plain_ids("\n" + one)) or self._plain_ids(one) for one in text)
        return [token_id for one in each for token_id in one if token_id not in self._ids]

    def _without_newline(self, ids: Sequence[int]) -> list[int]:
        """Return the ids after those of a newline; empty where it was joined with what follows."""
        length = len(self._newline)
        return list(ids[length:]) if list(ids[:length]) == self._newline else []

    def _plain_ids(self, text: str) -> list[int]:
        splits = [self._normalise(text)]
        if self._fast.pre_tokenizer is not None:
            splits = [split for split, _ in self._fast.pre_tokenizer.pre_tokenize_str(splits[0])]
        return [token.id for split in splits for token in self._fast.model.tokenize(split)]


def _is_markup(token: str, written: str) -> bool:
    """Return whether an added token is one that the template writes, and no space or word."""
    text = token.strip()
    return bool(text) and not text.isalnum() and token in written


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted({text for text in texts if text}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")  # (?!) never matches


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    token = text[start:end]
    return start + len(token) - len(token.lstrip()), end - len(token) + len(token.rstrip())


def _enclose(text: str, spans: Sequence[tuple[int, int]], marks: Marks) -> str:
    pieces, done = [], 0
    for start, end in spans:
        pieces += [text[done:start], marks.start, text[start:end], marks.end]
        done = end
    return "".join([*pieces, text[done:]])


def _unused(texts: Iterable[str]) -> Marks:
    used = set().union(*texts)
    free = (character for code in count(FIRST_MARKER) if (character := chr(code)) not in used)
    return Marks(next(free), next(free))

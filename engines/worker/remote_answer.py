"""Stream one answer of a server: gather its pieces into chunks, and find thoughts in its text.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Callable

from engines.backends.remote import Ended, Piece
from engines.worker.answer import BUSY_FLUSH_NS, FEW_TOKENS, FLUSH_NS, FLUSH_TOKENS
from engines.worker.protocol import Chunk, Done
from engines.worker.thought_stream import ThoughtStream
from engines.worker.thought_tags import THINK

CHARACTERS_PER_TOKEN = 200
"""Text for each token that was asked for. A server that sends more does not keep to max_tokens."""


class RemoteAnswer:
    """Collects the pieces of an answer and sends them as chunks, at the pace of `engines.worker.answer`."""

    def __init__(self, identity: int, max_tokens: int, send: Callable[[Chunk], None]) -> None:
        self._id, self._send = identity, send
        self._most, self._most_characters = max_tokens, max_tokens * CHARACTERS_PER_TOKEN
        self._tags = ThoughtStream((THINK,))
        """For servers that leave the tags of a thought in the text."""
        self._waiting: list[Piece] = []
        self._unit = "ids"
        """That of all pieces so far; `pieces` once one of them was not counted."""
        self._texts = {False: list[str](), True: list[str]()}
        self._ids: list[int] = []
        self._stamps = self._gathered = self._characters = self._flushed_ns = 0

    @property
    def is_too_long(self) -> bool:
        """Whether the server sends more than was asked for."""
        return self._stamps > self._most or self._characters > self._most_characters

    @property
    def characters(self) -> int:
        """Characters of answer and thoughts."""
        return self._characters

    def add(self, piece: Piece) -> None:
        """Add what arrived; send a chunk if one is due."""
        if self.is_too_long:
            return
        if self._waiting and _unit(piece) != _unit(self._waiting[0]):
            self._flush()
        self._waiting.append(piece)
        self._characters += len(piece.text) + len(piece.thought)
        added = len(_stamps(piece))
        self._stamps += added
        self._gathered += added  # not counted again: a fast server sends a chunk every 0.1 ms
        waited = piece.t_ns - self._flushed_ns
        longest = BUSY_FLUSH_NS if self._gathered > FEW_TOKENS else FLUSH_NS
        if self._gathered >= FLUSH_TOKENS or waited >= longest:
            self._flush()
            self._flushed_ns = piece.t_ns

    def done(self, ended: Ended) -> Done:
        """Send what is left and return the event that ends the answer."""
        self._flush(ended=True)
        answer, thought = ("".join(self._texts[kind]) for kind in (False, True))
        ids = tuple(self._ids) if self._unit == "ids" else ()
        return Done(self._id, ended.reason, answer, ids, ended.cached, thought, ended.server)

    def flush(self) -> None:
        """Send what has arrived: an error follows."""
        self._flush(ended=True)

    def _flush(self, *, ended: bool = False) -> None:
        """Send the waiting pieces as chunks: one for consecutive text of the answer, or of a thought."""
        waiting, self._waiting, self._gathered = self._waiting, [], 0
        unit = _unit(waiting[0]) if waiting else self._unit
        times: list[int] = []
        ids: list[int] = []
        text, is_thought = "", self._tags.is_thought
        for piece in waiting:
            for part_is_thought, part in self._parts(piece):
                if part and part_is_thought != is_thought:
                    self._send_chunk(unit, ids, times, text, is_thought)
                    text, times, ids = "", [], []
                if part:
                    is_thought = part_is_thought
                text += part
            times += _stamps(piece)
            ids += piece.token_ids
        for rest in self._tags.flush() if ended else []:
            if rest.text and rest.is_thought != is_thought:
                self._send_chunk(unit, ids, times, text, is_thought)
                text, times, ids, is_thought = "", [], [], rest.is_thought
            text += rest.text
        self._send_chunk(unit, ids, times, text, is_thought)

    def _send_chunk(self, unit: str, ids: list[int], times: list[int], text: str, is_thought: bool) -> None:
        if not times and not text:
            return
        if times and unit != "ids" and self._unit != "pieces":
            self._unit = unit
        self._ids += ids
        self._texts[is_thought].append(text)
        self._send(Chunk(self._id, tuple(ids), tuple(times), text, is_thought, unit))

    def _parts(self, piece: Piece) -> list[tuple[bool, str]]:
        parts = [(True, piece.thought)] if piece.thought else []
        return parts + [(part.is_thought, part.text) for part in self._tags.feed(piece.text)]


def _unit(piece: Piece) -> str:
    if piece.token_ids:
        return "ids"
    return "pieces" if piece.tokens is None else "tokens"


def _stamps(piece: Piece) -> list[int]:
    """Return the time of each token of a piece, or of the piece itself where its tokens are not counted."""
    return [piece.t_ns] * (1 if piece.tokens is None else piece.tokens)

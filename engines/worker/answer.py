"""One answer on its way out: token ids gathered into chunks, decoded, and watched for stop texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engines.worker.protocol import Chunk, Done

FLUSH_NS, BUSY_FLUSH_NS = 40_000_000, 100_000_000
FEW_TOKENS, FLUSH_TOKENS = 4, 64
"""A chunk leaves after 40 ms while tokens come one by one, after 100 ms where they come faster than 100 a
second, or with 64 tokens: twice as often as the screen is drawn then, and no oftener, as each chunk costs the
engine's cores something. The first leaves at once."""
PENDING_TOKENS = 32
"""Tokens that may wait for the rest of a character: random weights talk in broken bytes for ever."""


class TokenDecoder(Protocol):
    """What an answer needs of a tokenizer."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""


class TextStream:
    """Decodes ids as they come, so that the pieces together are the text of them all.

    A piece is the text of a window less the text of the window's beginning: what one token adds can
    depend on the tokens before it, as a space does, or a character that takes several of them.
    """

    def __init__(self, decoder: TokenDecoder) -> None:
        self._decoder = decoder
        self._window: list[int] = []
        self._known = 0
        """Tokens of the window whose text is out."""
        self._known_text = ""

    def step(self, token_ids: Sequence[int]) -> str:
        """The text that tokens add; empty inside a character."""
        self._window += token_ids
        text = self._decoder.decode(self._window)
        pending = len(self._window) - self._known
        if text.endswith("\ufffd") and pending < PENDING_TOKENS:
            return ""
        return self._advance(text)

    def rest(self) -> str:
        """Bytes of an unfinished character, as they are."""
        return self._advance(self._decoder.decode(self._window))

    def _advance(self, text: str) -> str:
        if len(text) <= len(self._known_text):
            # A special token: nothing to see. It stays as context, but a model that says only those must
            # not make every step slower than the one before.
            if len(self._window) - self._known >= PENDING_TOKENS:
                del self._window[self._known :]
            return ""
        new = text[len(self._known_text) :]
        del self._window[: self._known]
        self._known = len(self._window)
        self._known_text = self._decoder.decode(self._window)
        return new


class Answer:
    """Collects what a backend yields and sends it as chunks.

    The texts of the chunks together are the text of the Done, always.
    """

    def __init__(
        self, identity: int, decoder: TokenDecoder, stop: tuple[str, ...], send: Callable[[Chunk], None]
    ) -> None:
        self._id = identity
        self._stop = tuple(text for text in stop if text)
        self._send = send
        self._stream = TextStream(decoder)
        self._token_ids: list[int] = []
        self._times: list[int] = []
        self._decoded_tokens = 0
        self._sent_tokens = 0
        self._flushed_ns = 0
        self._text = ""
        self._sent_text = 0
        self.stop_text_found = False

    def add(self, token_ids: Sequence[int], t_ns: int) -> None:
        """Take new ids that the backend yielded at `t_ns`; sends a chunk when one is due."""
        for token_id in token_ids:
            if self.stop_text_found:
                return
            self._token_ids.append(token_id)
            self._times.append(t_ns)
            if self._stop:  # they are looked for token by token, so that the engine stops at once
                self._decode()
        if self._is_due(t_ns - self._flushed_ns, len(self._token_ids) - self._sent_tokens):
            self._decode()
            self._flush(len(self._text) - self._held_back())
            self._flushed_ns = t_ns

    def done(self, reason: str, cached: int | None) -> Done:
        """Send what is left and close the answer.

        Args:
            reason: the backend's. A stop text makes it stop as if the user had: told as what it is.
        """
        self._decode()
        if not self.stop_text_found:
            self._append(self._stream.rest())
        self._flush(len(self._text))
        reason = "stop" if self.stop_text_found else reason
        return Done(self._id, reason, self._text, tuple(self._token_ids), cached)

    @staticmethod
    def _is_due(waited_ns: int, gathered: int) -> bool:
        if gathered > FEW_TOKENS:
            return waited_ns >= BUSY_FLUSH_NS or gathered >= FLUSH_TOKENS
        return waited_ns >= FLUSH_NS

    def _decode(self) -> None:
        new = self._token_ids[self._decoded_tokens :]
        if new and not self.stop_text_found:
            self._decoded_tokens = len(self._token_ids)
            self._append(self._stream.step(new))

    def _append(self, text: str) -> None:
        if not text:
            return
        # What is already out was looked through, but a stop text may begin there.
        start = max(0, len(self._text) - max(map(len, self._stop), default=0))
        self._text += text
        found = [at for stop in self._stop if (at := self._text.find(stop, start)) >= 0]
        if found:
            self.stop_text_found = True
            self._text = self._text[: min(found)]

    def _held_back(self) -> int:
        """Characters at the end that may be the beginning of a stop text."""
        if self.stop_text_found:
            return 0
        return max(
            (n for text in self._stop for n in range(1, len(text)) if self._text.endswith(text[:n])),
            default=0,
        )

    def _flush(self, until: int) -> None:
        text, start = self._text[self._sent_text : until], self._sent_tokens
        if start == len(self._token_ids) and not text:
            return
        self._send(Chunk(self._id, tuple(self._token_ids[start:]), tuple(self._times[start:]), text))
        self._sent_tokens, self._sent_text = len(self._token_ids), max(until, self._sent_text)

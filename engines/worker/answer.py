"""One answer on its way out: token ids gathered into chunks, decoded, and watched for stop texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engines.worker.protocol import Chunk, Done
from engines.worker.tokenizer import Tokenizer

FLUSH_NS = 20_000_000
FLUSH_TOKENS = 16
"""A chunk leaves after 20 ms or 16 tokens: smooth to the eye, and 50 messages a second at most."""


class Answer:
    """Collects what a backend yields and sends it as chunks."""

    def __init__(
        self, identity: int, tokenizer: Tokenizer, stop: tuple[str, ...], send: Callable[[Chunk], None]
    ) -> None:
        from tokenizers.decoders import DecodeStream

        self._id = identity
        self._tokenizer = tokenizer
        self._stop = tuple(text for text in stop if text)
        self._send = send
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._token_ids: list[int] = []
        self._times: list[int] = []
        self._sent_tokens = 0
        self._flushed_ns = 0
        self._text = ""
        self._sent_text = 0
        self.stop_text_found = False

    def add(self, token_ids: Sequence[int], t_ns: int) -> None:
        """Take new ids that the backend yielded at `t_ns`; sends a chunk when one is due."""
        if self.stop_text_found:
            return
        for token_id in token_ids:
            self._token_ids.append(token_id)
            self._times.append(t_ns)
            self._text += self._decoder.step(self._tokenizer.fast, token_id) or ""
        self._look_for_stop()
        if t_ns - self._flushed_ns >= FLUSH_NS or len(self._token_ids) - self._sent_tokens >= FLUSH_TOKENS:
            self._flush(len(self._text) - self._held_back())
            self._flushed_ns = t_ns

    def reason(self, from_backend: str) -> str:
        """A stop text makes the backend stop as if the user had: tell it as what it is."""
        return "stop" if self.stop_text_found else from_backend

    def done(self, reason: str, cached: int | None) -> Done:
        """Send what is left and close the answer."""
        if not self.stop_text_found:
            # Bytes of an unfinished character come out only of a full decode.
            self._text = self._tokenizer.decode(self._token_ids)
        self._flush(len(self._text))
        return Done(self._id, reason, self._text, tuple(self._token_ids), cached)

    def _look_for_stop(self) -> None:
        found = [at for text in self._stop if (at := self._text.find(text)) >= 0]
        if found:
            self.stop_text_found = True
            self._text = self._text[: min(found)]

    def _held_back(self) -> int:
        """Characters at the end that may be the beginning of a stop text."""
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

"""Stream one answer: decode token ids, gather them into chunks, find thoughts and stop strings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Protocol

from engines.worker.protocol import Chunk, Done
from engines.worker.thought_stream import Part, ThoughtStream

FLUSH_NS, BUSY_FLUSH_NS = 40_000_000, 100_000_000
FEW_TOKENS, FLUSH_TOKENS = 4, 64
"""A chunk with at most FEW_TOKENS tokens is sent after 40 ms; a larger one, at more than 100 tok/s, after 100
ms or with 64 tokens. That is twice per redraw of the screen; more chunks would only take CPU time from the
engine. The first chunk is sent immediately."""
PENDING_TOKENS = 32
"""Most tokens that are held back for an incomplete character: random weights may never complete one."""


class TokenDecoder(Protocol):
    """The part of a tokenizer that an answer uses."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids, of special tokens only the tags of thoughts."""


class TextStream:
    """Incremental detokenizer: the pieces it returns join to the text of all token ids.

    A piece is the text of a window of tokens minus the text of the window's start, because the text of a
    token can depend on the tokens before it: a leading space, or a character made of several tokens.
    """

    def __init__(self, decoder: TokenDecoder) -> None:
        self._decoder = decoder
        self._window: list[int] = []
        self._emitted_tokens = 0
        """Tokens at the start of the window whose text was returned already."""
        self._emitted_text = ""

    def step(self, token_ids: Sequence[int]) -> str:
        """Add tokens and return the new text; empty while a character is incomplete."""
        self._window += token_ids
        text = self._decoder.decode(self._window)
        pending = len(self._window) - self._emitted_tokens
        if text.endswith("\ufffd") and pending < PENDING_TOKENS:
            return ""
        return self._advance(text)

    def flush(self) -> str:
        """Return the remaining text; an incomplete character becomes U+FFFD."""
        return self._advance(self._decoder.decode(self._window))

    def _advance(self, text: str) -> str:
        if len(text) <= len(self._emitted_text):
            # Special tokens have no text. They stay in the window as context, up to a limit: a model that
            # generates only special tokens must not make each step slower than the last.
            if len(self._window) - self._emitted_tokens >= PENDING_TOKENS:
                del self._window[self._emitted_tokens :]
            return ""
        new = text[len(self._emitted_text) :]
        del self._window[: self._emitted_tokens]
        self._emitted_tokens = len(self._window)
        self._emitted_text = self._decoder.decode(self._window)
        return new


class Answer:
    """Collects the tokens of a backend and sends them as chunks.

    The texts of all chunks join to the text and the thought of Done.
    """

    def __init__(
        self,
        identity: int,
        decoder: TokenDecoder,
        stop: tuple[str, ...],
        send: Callable[[Chunk], None],
        thoughts: ThoughtStream | None = None,
    ) -> None:
        """Create it; `thoughts` separates thoughts from the answer, without it all text is the answer."""
        self._id = identity
        self._decoder = decoder
        self._thoughts = thoughts or ThoughtStream(())
        self._stop = tuple(text for text in stop if text)
        self._send = send
        self._stream = TextStream(decoder)
        self._token_ids: list[int] = []
        self._times: list[int] = []
        self._decoded_tokens = 0
        self._sent_tokens = 0
        self._flushed_ns = 0
        self._text = ""
        """All text that the stop strings are searched in: with thoughts and their tags."""
        self._decoded_text = 0
        """Characters decoded, those after a stop string included."""
        self._fed_text = 0
        """Characters of it that `thoughts` has got."""
        self._sent_text = 0
        """Characters of it that were sent, or dropped with a tag."""
        self._texts = {False: list[str](), True: list[str]()}
        """Sent of the answer, and of thoughts."""
        self.stop_text_found = False

    def add(self, token_ids: Sequence[int], t_ns: int) -> None:
        """Add token ids that the backend yielded at `t_ns` (monotonic, ns); send a chunk if one is due."""
        for token_id in token_ids:
            if self.stop_text_found:
                return
            self._token_ids.append(token_id)
            self._times.append(t_ns)
            if self._stop:  # checked after every token, so that the engine stops immediately
                self._decode()
        if self._is_due(t_ns - self._flushed_ns, len(self._token_ids) - self._sent_tokens):
            self._decode()
            self._flush(len(self._text) - self._partial_stop_length())
            self._flushed_ns = t_ns

    def done(self, reason: str, cached: int | None) -> Done:
        """Send the remaining text and return the event that ends the answer.

        Args:
            reason: The backend's finish reason. It becomes `stop` if a stop string was found, for which the
                backend was interrupted.
            cached: Prompt tokens found in the KV cache; None if unknown.
        """
        self._decode()
        if not self.stop_text_found:
            self._append(self._stream.flush())
        self._flush(len(self._text), ended=True)
        reason = "stop" if self.stop_text_found else reason
        return self._ended(reason, cached)

    def cut(self) -> Done:
        """Return the event that ends a stopped answer whose last tokens were not decoded."""
        self._decoded_tokens = len(self._token_ids)
        self._flush(len(self._text), ended=True)
        return self._ended("stopped", None)

    def _ended(self, reason: str, cached: int | None) -> Done:
        text, thought = ("".join(self._texts[kind]) for kind in (False, True))
        return Done(self._id, reason, text, tuple(self._token_ids), cached, thought)

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
        # A stop string may start in text that was searched before.
        start = max(0, len(self._text) - max(map(len, self._stop), default=0))
        self._text += text
        self._decoded_text += len(text)
        found = [at for stop in self._stop if (at := self._text.find(stop, start)) >= 0]
        if found:
            self.stop_text_found = True
            self._text = self._text[: min(found)]

    def _partial_stop_length(self) -> int:
        """Return how many characters at the end may be the start of a stop string."""
        if self.stop_text_found:
            return 0
        return max(
            (n for text in self._stop for n in range(1, len(text)) if self._text.endswith(text[:n])),
            default=0,
        )

    def _flush(self, until: int, *, ended: bool = False) -> None:
        """Send the text up to `until`: each part of a thought or of the answer as a chunk.

        Args:
            ended: whether to send text that may be the beginning of a tag, too.
        """
        parts = self._thoughts.feed(self._text[self._fed_text : until])
        parts += self._thoughts.flush() if ended else []
        self._fed_text = max(until, self._fed_text)
        *complete, last = parts or [Part(self._thoughts.is_thought, "", 0)]
        for part in complete:
            self._send_part(part, complete=True)
        self._send_part(last, complete=self._thoughts.holds_text)

    def _send_part(self, part: Part, *, complete: bool) -> None:
        """Send a part with its tokens: all that are left, if none of them can belong to the next part."""
        self._sent_text += part.length
        start, end = self._sent_tokens, len(self._token_ids)
        if complete:
            end = self._tokens_before(self._sent_text)
        if start < end or part.text:
            ids, times = self._token_ids[start:end], self._times[start:end]
            self._send(Chunk(self._id, tuple(ids), tuple(times), part.text, part.is_thought))
            self._texts[part.is_thought].append(part.text)
            self._sent_tokens = end

    def _tokens_before(self, position: int) -> int:
        """Return how many tokens the text up to `position` takes; the last one may be longer."""
        return bisect_left(
            range(len(self._token_ids)),
            position,
            lo=self._sent_tokens,
            key=lambda count: self._decoded_text - len(self._decoder.decode(self._token_ids[count:])),
        )

"""Checks that the events of a worker answer the command that was sent, and that an answer is consistent.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from zlib import crc32

from engines.worker import protocol
from engines.worker.codec import ProtocolError
from engines.worker.load_reply_check import LoadReplyCheck

LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of the longest message. The scores of a long text are the largest, about 20 bytes a number."""
SHORT_LINE = 256 * 1024
"""Bytes of any message but scores and the end of a long answer. A longer one would hold up the screen while
it is parsed; a chunk takes about 2 KB."""
BYTES_PER_TOKEN = 128
"""What a token adds to the line of Done: its id, and its text with escapes."""
STAGES = 64
"""How many stages a command may have."""
EXTRA_TOKENS = 64
"""How many tokens more than max_tokens are accepted."""
CHARACTERS_PER_TOKEN, EXTRA_CHARACTERS = 256, 4_096
"""Text that tokens can add: the longest of real vocabularies are 128 spaces, with few exceptions."""
CLOCK_NS = 1_000_000_000
"""Tolerance of time stamps, which are of this machine's monotonic clock."""

_ENDS: dict[type, type] = {
    protocol.Describe: protocol.Described,
    protocol.Fetch: protocol.Fetched,
    protocol.Contact: protocol.Contacted,
    protocol.Prepare: protocol.Prepared,
    protocol.Load: protocol.Ready,
    protocol.Generate: protocol.Done,
    protocol.CountTokens: protocol.TokensCounted,
    protocol.Score: protocol.Scored,
    protocol.LoadTest: protocol.LoadTested,
    protocol.Tokenize: protocol.Tokenized,
}
_STAGES = (protocol.Stage, protocol.Progress)
_BEFORE: dict[type, tuple[type, ...]] = {
    protocol.Fetch: _STAGES,
    protocol.Prepare: _STAGES,
    protocol.Load: _STAGES,
    protocol.Generate: (protocol.Prompt, protocol.Chunk),
    protocol.LoadTest: (*_STAGES, protocol.InFlight),
}
"""Events that may precede the last one, in addition to _ALWAYS."""
_ALWAYS = (protocol.Log, protocol.KV, protocol.Memory, protocol.Heartbeat)


@dataclass
class _Text:
    """Length and checksum of a text that arrives in parts."""

    characters: int = 0
    checksum: int = 0

    def add(self, text: str) -> None:
        self.characters += len(text)
        self.checksum = crc32(text.encode(), self.checksum)


class ReplyCheck:
    """Follows the events that answer one command."""

    def __init__(self, command: protocol.Command) -> None:
        self._command = command
        self._max_tokens = command.sampling.max_tokens if isinstance(command, protocol.Generate) else 0
        self._newest_ns = time.monotonic_ns() - CLOCK_NS
        self._prompt: protocol.Prompt | None = None
        self._load = LoadReplyCheck(command) if isinstance(command, protocol.LoadTest) else None
        self._tokens = self._characters = self._stages = 0
        self._units = set[str]()
        """Of the chunks so far."""
        self._texts = {False: _Text(), True: _Text()}
        """Of the answer, and of its thoughts."""

    @property
    def line_limit(self) -> int:
        """Bytes of the longest line that may answer this command."""
        if isinstance(self._command, (protocol.Score, protocol.Tokenize)):
            return LINE_LIMIT
        return min(LINE_LIMIT, SHORT_LINE + BYTES_PER_TOKEN * self._max_tokens)

    def check(self, event: protocol.Event) -> None:
        """Check the next event.

        Raises:
            ProtocolError: it does not answer the command, or contradicts the events before it.
        """
        if isinstance(event, protocol.Error):
            return
        expected = (_ENDS[type(self._command)], *_BEFORE.get(type(self._command), ()), *_ALWAYS)
        if not isinstance(event, expected):
            raise ProtocolError(f"{event.TYPE} does not answer {self._command.TYPE}")
        if isinstance(event, protocol.Stage):
            self._check_stage(event)
        elif isinstance(event, protocol.Prompt):
            self._check_prompt(event)
        elif isinstance(event, protocol.Chunk):
            self._check_chunk(event)
        elif isinstance(event, protocol.Done):
            self._check_done(event)
        elif isinstance(event, protocol.InFlight) and self._load:
            self._load.check(event)
        elif isinstance(event, protocol.Scored):
            self._check_scored(event)
        elif isinstance(event, protocol.Tokenized):
            self._check_tokenized(event)

    def _check_stage(self, event: protocol.Stage) -> None:
        self._stages += 1
        if not 1 <= event.index <= event.of <= STAGES or self._stages > STAGES:
            raise ProtocolError(f"stage {event.index:,} of {event.of:,}")

    def _check_prompt(self, event: protocol.Prompt) -> None:
        if self._prompt or self._tokens:
            raise ProtocolError("prompt: it comes too late")
        self._check_cached(event.cached, event.tokens)
        self._check_times((event.t_ns,), "prompt")
        self._prompt = event

    def _check_chunk(self, event: protocol.Chunk) -> None:
        if event.unit not in protocol.UNITS:
            raise ProtocolError(f"chunk.unit: {event.unit[:80]!r} is none of {protocol.UNITS}")
        expected = len(event.t_ns) if event.unit == "ids" else 0
        if len(event.token_ids) != expected:
            raise ProtocolError(f"chunk: {len(event.token_ids)} tokens and {len(event.t_ns)} times")
        self._check_times(event.t_ns, "chunk")
        if event.t_ns:
            self._units.add(event.unit)
        self._tokens += len(event.t_ns)
        self._characters += len(event.text)
        self._texts[event.thought].add(event.text)
        if self._tokens > self._max_tokens + EXTRA_TOKENS:
            raise ProtocolError(f"chunk: more than the {self._max_tokens:,} tokens that were asked for")
        most = self._max_tokens if event.unit == "pieces" else self._tokens
        if self._characters > most * CHARACTERS_PER_TOKEN + EXTRA_CHARACTERS:
            raise ProtocolError(f"chunk: {self._characters:,} characters for {self._tokens:,} tokens")

    def _check_done(self, event: protocol.Done) -> None:
        if event.reason not in protocol.FINISH_REASONS:
            raise ProtocolError(f"done.reason: {event.reason[:80]!r} is none of {protocol.FINISH_REASONS}")
        if self._prompt:
            reported = event.server.prompt_tokens if event.server else None
            self._check_cached(event.cached, self._prompt.tokens if reported is None else reported)
        said = {False: _Text(), True: _Text()}
        said[False].add(event.text)
        said[True].add(event.thought)
        with_ids = self._tokens if self._units <= {"ids"} else 0
        if len(event.token_ids) != with_ids or said != self._texts:
            raise ProtocolError("done: its tokens or its text are not those of the chunks")

    def _check_times(self, times_ns: tuple[int, ...], kind: str) -> None:
        for stamp in times_ns:
            if stamp < self._newest_ns:
                raise ProtocolError(f"{kind}.t_ns: the time goes backwards")
            self._newest_ns = stamp
        if self._newest_ns > time.monotonic_ns() + CLOCK_NS:
            raise ProtocolError(f"{kind}.t_ns: the time is in the future")

    @staticmethod
    def _check_cached(cached: int | None, tokens: int) -> None:
        if cached is not None and cached > tokens:
            raise ProtocolError(f"{cached:,} of {tokens:,} prompt tokens are cached")

    def _check_tokenized(self, event: protocol.Tokenized) -> None:
        assert isinstance(self._command, protocol.Tokenize)
        if len(event.pieces) != len(event.token_ids):
            raise ProtocolError(f"tokenized: {len(event.pieces)} texts for {len(event.token_ids)} tokens")
        if len(event.rows) != len(self._command.texts):
            raise ProtocolError(f"tokenized: {len(event.rows)} rows for {len(self._command.texts)} texts")

    def _check_scored(self, event: protocol.Scored) -> None:
        assert isinstance(self._command, protocol.Score)
        expected = len(self._command.token_ids) - 1
        optional = (event.top_ids, event.top_logprobs, event.ranks, event.kl)
        lengths = {len(event.logprobs), *(len(rows) for rows in optional if rows)}
        if lengths != {expected}:
            raise ProtocolError(f"scored: {len(event.logprobs):,} values, expected {expected:,}")
        pairs = zip(event.top_ids, event.top_logprobs)  # noqa: B905 - Python 3.10
        rows = chain.from_iterable(((len(ids), len(values)) for ids, values in pairs))
        if max(rows, default=0) > self._command.top_k or len(event.top_ids) != len(event.top_logprobs):
            raise ProtocolError("scored: the alternatives do not fit the command")

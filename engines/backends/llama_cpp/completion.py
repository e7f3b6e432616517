"""Requests to llama.cpp's server for an answer, with every token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engines.backends.llama_cpp.server import LlamaServer
from engines.worker.protocol import Sampling

if TYPE_CHECKING:
    from engines.backends.base import Stopped

LARGEST_SEED = 2**32 - 2
"""The next one, the largest of 32 bits, means a random seed."""


@dataclass
class Completion:
    """An answer of the server to a prompt, token by token.

    The server withholds the tokens of a character until it is complete, and then sends the last of them
    only. Files that this project writes have no such tokens. For others a step of one token, which is
    answered with its id, is made in place of each token that is missing; then the stream goes on.
    """

    server: LlamaServer
    token_ids: Sequence[int]
    """The prompt."""
    sampling: Sampling
    knows_eos: bool = False
    """Whether the file names end-of-sequence tokens, at which the server ends an answer by itself."""
    cached: int | None = None
    """Tokens of the prompt found in the KV cache, once the first event has arrived."""
    reason: str = "stopped"
    """One of FINISH_REASONS, as far as the server knows."""
    answer: list[int] = field(default_factory=list)

    def tokens(self, stopped: Stopped) -> Iterator[list[int]]:
        """Yield new tokens as they arrive."""
        while True:
            missing = 0
            for new, missing in self._stream(stopped):
                if missing:
                    break
                yield self._record(new)
            if not missing:
                return
            for _ in range(missing):
                if stopped() or not (new := self._step()):
                    return
                yield self._record(new)
            if len(self.answer) >= self.sampling.max_tokens:
                self.reason = "length"
                return

    def _record(self, new: list[int]) -> list[int]:
        self.answer += new
        return new

    def _stream(self, stopped: Stopped) -> Iterator[tuple[list[int], int]]:
        """Yield the tokens of each of the server's events, and how many are missing up to the last one."""
        count = 0
        for event in self.server.stream(self._body(), stopped):
            progress = event.get("prompt_progress")
            if progress is not None:
                self.cached = progress["cache"] if self.cached is None else self.cached
                continue
            new, total = list(event["tokens"]), int(event["tokens_predicted"])
            if total > count + len(new):
                yield [], total - count
            count = total
            if event["stop"]:
                self.reason = _reason(event)
            elif new:
                yield new, 0

    def _step(self) -> list[int]:
        """Compute one token without a stream."""
        event = self.server.ask("/completion", self._body() | {"n_predict": 1})
        return list(event["tokens"])

    def _body(self) -> dict[str, object]:
        sampling, done = self.sampling, len(self.answer)
        greedy = sampling.temperature <= 0
        # In the order of transformers, with the temperature first; llama.cpp's own has it last.
        chain = ["penalties", "top_k"] if greedy else ["penalties", "temperature", "top_k", "top_p", "min_p"]
        return {
            "prompt": [*self.token_ids, *self.answer],
            "n_predict": sampling.max_tokens - done,
            "return_tokens": True,
            "return_progress": True,
            "cache_prompt": True,
            "samplers": chain,
            "temperature": sampling.temperature,
            "top_k": 1 if greedy else sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": len(self.token_ids) + sampling.max_tokens,
            "seed": (sampling.seed + done) % (LARGEST_SEED + 1),
            "ignore_eos": sampling.ignore_eos and self.knows_eos,
        }


def _reason(event: dict[str, Any]) -> str:
    return {"eos": "stop", "word": "stop", "limit": "length"}.get(event["stop_type"], "stopped")

"""Log-probabilities after a prompt, from llama.cpp's server: of the likely tokens, or of all.

The server computes the distribution after a prompt, not within it, so each position is a request. All tokens
of a large vocabulary are megabytes of JSON, which take the server longer than the model: they are
requested only where every token is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from engines.backends.base import Scores
from engines.backends.llama_cpp.server import LlamaServer
from engines.errors import EngineError

LIKELY = 1024
"""Tokens that are asked for at first; the text's own is one of them nearly always."""
IN_FLIGHT = 2
"""Requests for all tokens: the model computes one while the JSON of another is written and read."""


class _Entry(msgspec.Struct):
    id: int
    logprob: float


class _Position(msgspec.Struct):
    top_logprobs: list[_Entry]


class _Reply(msgspec.Struct):
    completion_probabilities: list[_Position] = []


_DECODER = msgspec.json.Decoder(_Reply)


@dataclass(frozen=True)
class Distributions:
    """The distributions of a loaded file."""

    server: LlamaServer
    vocabulary: int
    complete: int | None
    """A token whose text is a complete character, which is then the one that is generated: the server returns
    no distribution with another. None if the texts of all tokens are."""

    def rows(self, token_ids: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the natural log-probabilities of all tokens after each beginning of the text, [vocabulary].

        The last one is that before the text's last token.

        Raises:
            EngineError: `engine-failed`.
        """
        waiting: deque[Future[npt.NDArray[np.float32]]] = deque()
        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            for end in range(1, len(token_ids)):
                waiting.append(threads.submit(self.row, token_ids[:end]))
                if len(waiting) == IN_FLIGHT:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def row(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the natural log-probabilities of all tokens after `token_ids`, [vocabulary].

        Raises:
            EngineError: `engine-failed`.
        """
        ids, logprobs = self._likeliest(token_ids, self.vocabulary)
        row = np.full(self.vocabulary, np.nan, np.float32)
        row[ids] = logprobs
        if np.isnan(row).any():
            raise _no_distribution()
        return row

    def scores(self, token_ids: Sequence[int], top_k: int) -> Scores:
        """Return the log-probabilities of `token_ids[1:]`, and for a `top_k` above 0 the likeliest and ranks.

        They are those over the whole vocabulary, and the same as from `rows`.

        Raises:
            EngineError: `engine-failed`.
        """
        scores = Scores([])
        for end in range(1, len(token_ids)):
            self._add(scores, token_ids[:end], token_ids[end], top_k)
        return scores

    def _add(self, scores: Scores, before: Sequence[int], target: int, top_k: int) -> None:
        ids, logprobs = self._likeliest(before, min(max(LIKELY, top_k), self.vocabulary))
        if target not in ids:
            ids, logprobs = self._likeliest(before, self.vocabulary)
        chosen = logprobs[ids == target][0]
        scores.logprobs.append(float(chosen))
        if top_k:
            scores.top_ids.append(ids[:top_k].tolist())
            scores.top_logprobs.append(logprobs[:top_k].tolist())
            scores.ranks.append(int((logprobs > chosen).sum()))

    def _likeliest(
        self, token_ids: Sequence[int], count: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return the likeliest tokens after `token_ids`, best first, and their log-probabilities."""
        body: dict[str, object] = {
            "prompt": list(token_ids),
            "n_predict": 1,
            "n_probs": count,
            "samplers": ["top_k"],
            "top_k": 1,
            "cache_prompt": True,
        }
        if self.complete is not None:
            body["logit_bias"] = [[self.complete, 1e6]]  # the probabilities are those before it
        try:
            found = _DECODER.decode(self.server.reply("/completion", body)).completion_probabilities
        except msgspec.MsgspecError as error:
            raise _no_distribution() from error
        top = found[0].top_logprobs if found else []
        ids = np.fromiter((one.id for one in top), np.int64, len(top))
        if len(set(ids.tolist())) != count or not 0 <= ids.min() <= ids.max() < self.vocabulary:
            raise _no_distribution()
        return ids, np.fromiter((one.logprob for one in top), np.float32, count)


def _no_distribution() -> EngineError:
    return EngineError("engine-failed", "llama.cpp returned no distribution over the whole vocabulary.")

"""The compiled steps: a prompt's tokens in parts, then one token at a time from a captured CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from engines.backends.compiled.attention import PART
from engines.backends.compiled.cache import SHORTEST, BucketedCache

SMALLEST_PART = 16
LARGEST_PART = {"cuda": 2048, "cpu": 512}
"""Prompts are computed in parts of so many tokens: activations stay small, and a stop is seen in between."""
TRACED_PART = 64
DECODE_OPTIONS = {
    # With it Inductor turns products of one row into fused reductions, which unpack quantised weights on
    # the way and read at the speed of memory; without it, they are library calls that cannot.
    "coordinate_descent_tuning": True,
    # Kernels that were saved for a static launch are tuned again at every load (torch 2.11).
    "use_static_cuda_launcher": False,
}


class Runner:
    """A model, its cache, and the two functions that are compiled from them."""

    def __init__(self, model: Any, kept: BucketedCache) -> None:
        self.model = model
        self.kept = kept
        self.device = model.device
        self.on_gpu = self.device.type == "cuda"
        self._largest = LARGEST_PART[self.device.type]
        self._decode = torch.compile(self._one_token, fullgraph=True, options=DECODE_OPTIONS)
        # On the CPU a prompt is bound by arithmetic, and compiling for it would only cost the user time.
        self._prefill = torch.compile(self._part, fullgraph=True) if self.on_gpu else self._part
        self._columns = {length: self._column(length) for length in kept.lengths}
        self._graphs: dict[int, Any] = {}
        self._token = torch.zeros((1, 1), dtype=torch.long, device=self.device)
        self._position = torch.zeros((1,), dtype=torch.long, device=self.device)
        self._logits: Any = None
        self._static: Any = None

    def warm_up(self, progress: Callable[[int, int], None]) -> None:
        """Compile both functions and capture a graph for each length that attention reads."""
        count = len(self._columns) + 2
        # The first call tells the cache its heads and widths.
        everything = self._columns[self.kept.capacity]
        self.forward(self._tokens([0] * SMALLEST_PART), self._range(0, SMALLEST_PART), everything)
        self._compute([0] * TRACED_PART, 0)
        for size in self._part_sizes() if self.on_gpu else ():
            self._compute([0] * size, 0)  # libraries choose their kernels when a size is first seen
        for length in self._columns if self.on_gpu else ():
            self._compute([0] * SMALLEST_PART, length - SMALLEST_PART)
        progress(1, count)
        self._position.fill_(TRACED_PART)
        self._step_now(SHORTEST)
        self._static = torch.empty_like(self._logits)
        progress(2, count)
        for index, length in enumerate(self._columns if self.on_gpu else ()):
            self._capture(length)
            progress(index + 3, count)

    def prefill(self, prompt: Sequence[int], start: int) -> Iterator[Any]:
        """Compute `prompt` from `start` on, a part at a time; the last yield is the logits of its end.

        The cache's `held` follows, so that a caller may stop between parts.
        """
        logits = None
        del self.kept.held[start:]
        while start < len(prompt):
            part = list(prompt[start : start + self._largest])
            logits = self._compute(part, start)
            self.kept.held += part
            start += len(part)
            yield logits

    def begin(self, token: Any, position: int) -> None:
        """The next step computes `token` at `position`."""
        self._token.copy_(token)
        self._position.fill_(position)

    def step(self, position: int) -> tuple[Any, Any]:
        """Launch one step; returns its logits and the most likely token, which the next step will take."""
        length = next(length for length in self._columns if length > position)
        if length in self._graphs:
            self._graphs[length].replay()
        else:
            self._step_now(length)
        return self._logits, self._token

    def take(self, token: Any) -> None:
        """Let the next step compute `token` instead of the most likely one."""
        self._token.copy_(token)

    def all_logits(self, token_ids: Sequence[int]) -> Iterator[Any]:
        """Logits after each token, a part at a time, through the cache; nothing is held afterwards."""
        self.kept.held.clear()
        for start in range(0, len(token_ids), self._largest):
            part = token_ids[start : start + self._largest]
            columns = self._look(start + len(part))
            yield self.forward(self._tokens(part), self._range(start, len(part)), columns)[0]

    def forward(self, tokens: Any, positions: Any, columns: Any, keep: Any = 0) -> Any:
        """The model over `tokens` at `positions`, each seeing the cache's columns up to itself."""
        self.kept.places.set(positions)
        dtype = self.model.dtype
        hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=columns.device)
        seen = columns.flatten()[None, :] <= positions[:, None]
        mask = torch.where(seen, torch.zeros((), dtype=dtype, device=columns.device), hidden)
        return self.model(
            input_ids=tokens,
            attention_mask=mask[None, None],
            position_ids=positions[None],
            past_key_values=self.kept.cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits

    def _one_token(self, token: Any, position: Any, columns: Any) -> tuple[Any, Any]:
        logits = self.forward(token, position, columns)[:, -1]
        return logits, logits.argmax(-1, keepdim=True)

    def _part(self, tokens: Any, positions: Any, columns: Any, last: Any) -> Any:
        return self.forward(tokens, positions, columns, last)[:, -1]

    def _compute(self, part: Sequence[int], start: int) -> Any:
        """Logits after the last token of `part`, filled up to a size that was seen before.

        What fills it up is written behind the part, where the next tokens will overwrite it.
        """
        size = min(_part_size(len(part)), self.kept.capacity - start)
        filled = [*part, *[0] * (size - len(part))]
        last = torch.tensor([len(part) - 1], device=self.device)
        tokens, positions = self._tokens(filled), self._range(start, size)
        for tensor, dimension in ((tokens, 1), (positions, 0)):
            if self.on_gpu and size > 1:
                torch._dynamo.mark_dynamic(tensor, dimension)
        return self._prefill(tokens, positions, self._look(start + size), last)

    def _step_now(self, length: int) -> None:
        columns = self._look(length)
        logits, token = self._decode(self._token, self._position, columns)
        self._logits = logits
        self._token.copy_(token)
        self._position.add_(1)

    def _capture(self, length: int) -> None:
        """Record the kernels of one step: replaying them costs the CPU one call instead of hundreds."""
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self._position.fill_(TRACED_PART)
            self._step_now(length)  # whatever is done once is done before the recording
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):
            self._step_now(length)
            self._static.copy_(self._logits)  # one place for all graphs, which share their memory
        self._logits = self._static
        self._graphs[length] = graph

    def _part_sizes(self) -> list[int]:
        """The sizes that parts of a prompt are filled up to."""
        sizes = [SMALLEST_PART]
        while sizes[-1] < min(self._largest, self.kept.capacity):
            sizes.append(2 * sizes[-1])
        return [size for size in sizes if size <= self.kept.capacity]

    def _look(self, tokens: int) -> Any:
        return self._columns[self.kept.look(tokens)]

    def _column(self, length: int) -> Any:
        column = torch.arange(length, device=self.device).view(-1, PART)
        torch._dynamo.mark_dynamic(column, 0)
        return column

    def _tokens(self, token_ids: Sequence[int]) -> Any:
        return torch.tensor([list(token_ids)], device=self.device)

    def _range(self, start: int, count: int) -> Any:
        return torch.arange(start, start + count, device=self.device)


def _part_size(count: int) -> int:
    """The power of two that holds `count` tokens."""
    return max(SMALLEST_PART, 1 << (count - 1).bit_length())

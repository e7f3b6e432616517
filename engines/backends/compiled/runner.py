"""The steps: chunked prefill, then decode with one captured CUDA graph for each attention length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from engines.backends.compiled.attention import SPLIT_TOKENS
from engines.backends.compiled.cache import SHORTEST, BucketedCache
from engines.backends.compiled.regional import Mode, Regions
from engines.backends.compiled.split.rank import WHOLE, Rank

SMALLEST_CHUNK = 16
LARGEST_CHUNK = {"cuda": 2048, "cpu": 512}
"""Tokens per prefill chunk: activations stay small, and a stop request is checked between chunks."""
TRACED_CHUNK = 64


class Runner:
    """Runs a model with its KV cache: prompts in chunks, then one token at a time."""

    def __init__(self, model: Any, kv_cache: BucketedCache, rank: Rank = WHOLE) -> None:
        """Create it for a model, or for the part of a model that `rank` has."""
        self.model = model
        self.rank = rank
        self.kv_cache = kv_cache
        self.device = model.device
        self.on_gpu = self.device.type == "cuda"
        self._largest = LARGEST_CHUNK[self.device.type]
        self._regions = Regions(model, kv_cache, self.on_gpu, joined=rank.is_split)
        self._columns = {length: self._make_columns(length) for length in kv_cache.lengths}
        self._graphs: dict[int, Any] = {}
        self._token = torch.zeros((1, 1), dtype=torch.long, device=self.device)
        self._position = torch.zeros((1,), dtype=torch.long, device=self.device)
        self._logits: Any = None
        self._static: Any = None

    def allocate(self) -> None:
        """Run the model once, uncompiled: the first call allocates the KV cache."""
        all_columns = self._columns[self.kv_cache.capacity]
        self.forward(self._tokens([0] * SMALLEST_CHUNK), self._range(0, SMALLEST_CHUNK), all_columns)

    def compile(self, progress: Callable[[int, int], None]) -> None:
        """Compile the parts of the model for one token and for prompts, and tune their kernels.

        Args:
            progress: Called with the number of finished and of all steps.
        """
        with self._regions.compiling():
            self._position.fill_(TRACED_CHUNK)
            self._run_step(SHORTEST)
            self._static = torch.empty_like(self._logits)
            progress(1, 2)
            self.run_chunk([0] * TRACED_CHUNK, 0)
            progress(2, 2)

    def capture(self, progress: Callable[[int, int], None]) -> int:
        """Capture a CUDA graph for each length that attention reads; on the CPU there is nothing to do.

        Args:
            progress: Called with the number of captured and of all graphs.

        Returns:
            The number of graphs.
        """
        for index, length in enumerate(self._columns if self.on_gpu else ()):
            self._capture_graph(length)
            progress(index + 1, len(self._columns))
        return len(self._graphs)

    def warm_up(self) -> None:
        """Do on a GPU what would slow down the first answers: once for each size and length.

        Replay each CUDA graph, because the first replay uploads it. Run prompts of each size, for which
        libraries select their kernels, and of each length; the largest comes first, so that the others
        reuse its memory. Captures release unused memory, so this comes after them.
        """
        for graph in self._graphs.values():
            self._position.fill_(TRACED_CHUNK)
            graph.replay()
        for size in reversed(self._chunk_sizes()) if self.on_gpu else ():
            self.run_chunk([0] * size, self.kv_cache.capacity - size)
        for length in self._columns if self.on_gpu else ():
            self.run_chunk([0] * SMALLEST_CHUNK, length - SMALLEST_CHUNK)
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def prefill(self, prompt: Sequence[int], start: int) -> Iterator[Any]:
        """Compute `prompt` from position `start` on, and yield the logits after each chunk.

        The last ones are the logits after the prompt. `cached_ids` of the cache is updated after each chunk,
        so that the caller may stop between chunks.
        """
        logits = None
        del self.kv_cache.cached_ids[start:]
        while start < len(prompt):
            chunk = list(prompt[start : start + self._largest])
            logits = self.run_chunk(chunk, start)
            self.kv_cache.cached_ids += chunk
            start += len(chunk)
            yield logits

    def start(self, token: Any, position: int) -> None:
        """Set the input of the next decode step."""
        self._token.copy_(token)
        self._position.fill_(position)

    def step(self, position: int) -> tuple[Any, Any]:
        """Launch one decode step at `position`.

        Returns:
            Its logits [1, vocabulary], and the most likely token [1, 1], which is the input of the next step
            unless `set_next_token` replaces it.
        """
        length = next(length for length in self._columns if length > position)
        if length in self._graphs:
            self._graphs[length].replay()
        else:
            self._run_step(length)
        return self._logits, self._token

    def set_next_token(self, token: Any) -> None:
        """Use `token` instead of the most likely one as the input of the next step."""
        self._token.copy_(token)

    def all_logits(self, token_ids: Sequence[int]) -> Iterator[Any]:
        """Yield the logits after each token, chunk by chunk. The next answer may reuse what is cached."""
        self.kv_cache.cached_ids.clear()
        for start in range(0, len(token_ids), self._largest):
            chunk = token_ids[start : start + self._largest]
            logits = self.score_chunk(chunk, start)
            self.kv_cache.cached_ids.extend(chunk)
            yield logits

    def score_chunk(self, chunk: Sequence[int], start: int) -> Any:
        """Return the logits after each token of `chunk`, uncompiled, [tokens, vocabulary]."""
        columns = self._select_columns(start + len(chunk))
        return self.forward(self._tokens(chunk), self._range(start, len(chunk)), columns)[0]

    def forward(self, tokens: Any, positions: Any, columns: Any, keep: Any = 0, mode: Mode = "eager") -> Any:
        """Run the model with a causal mask over the cache.

        Args:
            tokens: [1, tokens].
            positions: [tokens], positions in the context window.
            columns: Positions of the cache that attention reads, [splits, SPLIT_TOKENS].
            keep: `logits_to_keep` of transformers.
            mode: Which compiled functions run its parts.

        Returns:
            Logits [1, kept tokens, vocabulary].
        """
        return self.model(
            input_ids=tokens,
            attention_mask=self._regions.begin(mode, positions, columns, self.model.dtype),
            position_ids=positions[None],
            past_key_values=self.kv_cache.cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits

    def run_chunk(self, chunk: Sequence[int], start: int) -> Any:
        """Return the logits after the last token of `chunk`, which is padded to a size that is warmed up.

        The padding is written to the cache after the chunk, where the next tokens overwrite it.
        """
        size = min(_chunk_size(len(chunk)), self.kv_cache.capacity - start)
        padded = [*chunk, *[0] * (size - len(chunk))]
        last = torch.tensor([len(chunk) - 1], device=self.device)
        tokens, positions = self._tokens(padded), self._range(start, size)
        columns = self._select_columns(start + size)
        mode: Mode = "prefill" if size > 1 else "decode"  # one is left where the context window ends
        return self.forward(tokens, positions, columns, last, mode)[:, -1]

    def _run_step(self, length: int) -> None:
        columns = self._select_columns(length)
        self._logits = self.forward(self._token, self._position, columns, mode="decode")[:, -1]
        self._token.copy_(self._logits.argmax(-1, keepdim=True))
        self._position.add_(1)

    def _capture_graph(self, length: int) -> None:
        """Capture the kernels of one step: replaying the graph is one CPU call instead of hundreds."""
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self._position.fill_(TRACED_CHUNK)
            self._run_step(length)  # one-time work must happen before the capture
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        # Another thread may use CUDA meanwhile: NCCL has one.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            self._run_step(length)
            self._static.copy_(self._logits)  # a common output buffer: the graphs share their memory pool
        self._logits = self._static
        self._graphs[length] = graph

    def _chunk_sizes(self) -> list[int]:
        """Return the sizes that chunks are padded to."""
        sizes = [SMALLEST_CHUNK]
        while sizes[-1] < min(self._largest, self.kv_cache.capacity):
            sizes.append(2 * sizes[-1])
        return [size for size in sizes if size <= self.kv_cache.capacity]

    def _select_columns(self, tokens: int) -> Any:
        return self._columns[self.kv_cache.select_length(tokens)]

    def _make_columns(self, length: int) -> Any:
        column = torch.arange(length, device=self.device).view(-1, SPLIT_TOKENS)
        torch._dynamo.mark_dynamic(column, 0)
        return column

    def _tokens(self, token_ids: Sequence[int]) -> Any:
        return torch.tensor([list(token_ids)], device=self.device)

    def _range(self, start: int, count: int) -> Any:
        return torch.arange(start, start + count, device=self.device)


def _chunk_size(count: int) -> int:
    """Return the smallest power of two that holds `count` tokens, at least SMALLEST_CHUNK."""
    return max(SMALLEST_CHUNK, 1 << (count - 1).bit_length())

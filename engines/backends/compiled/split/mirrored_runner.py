"""A runner whose steps the other ranks run too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from engines.backends.compiled.cache import BucketedCache
from engines.backends.compiled.runner import Runner
from engines.backends.compiled.split.rank import Rank
from engines.backends.compiled.split.ranks import Ranks


class MirroredRunner(Runner):
    """Rank 0: sends each step to the other ranks before it runs it."""

    def __init__(self, model: Any, kv_cache: BucketedCache, rank: Rank, ranks: Ranks) -> None:
        super().__init__(model, kv_cache, rank)
        self._ranks = ranks
        self._setting_up = False
        """Whether a step of the set-up runs, of which prompts are a part that is not sent."""

    def allocate(self) -> None:
        """See `Runner.allocate`."""
        self._ranks.send("allocate")
        super().allocate()

    def compile(self, progress: Callable[[int, int], None]) -> None:
        """See `Runner.compile`."""
        self._ranks.send("compile")
        with self._set_up():
            super().compile(progress)

    def capture(self, progress: Callable[[int, int], None]) -> int:
        """See `Runner.capture`."""
        self._ranks.send("capture")
        return super().capture(progress)

    def warm_up(self) -> None:
        """See `Runner.warm_up`."""
        self._ranks.send("warm_up")
        with self._set_up():
            super().warm_up()

    @contextmanager
    def _set_up(self) -> Iterator[None]:
        self._setting_up = True
        try:
            yield
        finally:
            self._setting_up = False

    def run_chunk(self, chunk: Sequence[int], start: int) -> Any:
        """See `Runner.run_chunk`."""
        if not self._setting_up:
            self._ranks.send("run_chunk", chunk=list(chunk), start=start)
        return super().run_chunk(chunk, start)

    def score_chunk(self, chunk: Sequence[int], start: int) -> Any:
        """See `Runner.score_chunk`."""
        self._ranks.send("score_chunk", chunk=list(chunk), start=start)
        return super().score_chunk(chunk, start)

    def start(self, token: Any, position: int) -> None:
        """See `Runner.start`; the other ranks receive the token."""
        self._ranks.send("receive", position=position)
        super().start(token, position)
        dist.broadcast(self._token, 0)

    def step(self, position: int) -> tuple[Any, Any]:
        """See `Runner.step`."""
        self._ranks.send("step", position=position)
        return super().step(position)

    def set_next_token(self, token: Any) -> None:
        """See `Runner.set_next_token`; the other ranks receive the token."""
        self._ranks.send("receive", position=None)
        super().set_next_token(token)
        dist.broadcast(self._token, 0)


class FollowingRunner(Runner):
    """Another rank: runs what rank 0 sends."""

    def receive(self, position: int | None) -> None:
        """Take the next token from rank 0, and its position if it begins an answer."""
        dist.broadcast(self._token, 0)
        if position is not None:
            self._position.fill_(position)

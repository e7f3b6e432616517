"""Open engines in workers as the app does, without a screen."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.state.side.side import Side
from engines.build.prepare import PreparedEngine
from engines.measure.timing import Timing, timing
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.benchmarks.environment import BenchmarkEnvironment, BenchmarkError


@dataclass(frozen=True)
class Answer:
    """One answer with its metrics."""

    token_ids: tuple[int, ...]
    timing: Timing
    cached: int

    @property
    def ttft(self) -> float:
        """TTFT in seconds."""
        assert self.timing.ttft is not None
        return self.timing.ttft

    @property
    def rate(self) -> float:
        """Decode tok/s."""
        assert self.timing.decode_rate is not None
        return self.timing.decode_rate


@contextlib.asynccontextmanager
async def opened(bench: BenchmarkEnvironment, engine: str, checkpoint_name: str) -> AsyncIterator[Side]:
    """Open a side with an engine; close it at the end."""
    side = Side(f"{checkpoint_name}-{engine.replace(':', '-')}", bench.store, bench.logs)
    try:
        await open_engine(side, bench, engine, checkpoint_name)
        yield side
    finally:
        await side.close()


async def open_engine(
    side: Side, bench: BenchmarkEnvironment, engine: str, checkpoint_name: str
) -> PreparedEngine:
    """Prepare and load an engine as the app does; return the prepared engine.

    Raises:
        BenchmarkError: preparing or loading fails.
    """
    prepared = None
    spec = bench.spec(engine, bench.checkpoints[checkpoint_name])
    async for step in side.open(spec):
        if isinstance(step, protocol.Error):
            raise BenchmarkError(f"{engine} on {checkpoint_name}: {step.message} {step.hint} {step.detail}")
        if isinstance(step, PreparedEngine):
            prepared = step
    assert prepared is not None
    return prepared


async def generate(side: Side, token_ids: Sequence[int], new_tokens: int) -> Answer:
    """Generate exactly `new_tokens` tokens after `token_ids`.

    Raises:
        BenchmarkError: the engine fails or stops early.
    """
    process = side.process
    assert isinstance(process, EngineProcess)
    sampling = protocol.Sampling(max_tokens=new_tokens, ignore_eos=True)
    command = protocol.Generate(process.next_id(), token_ids=tuple(token_ids), sampling=sampling)
    start, stamps, done = 0, list[int](), None
    async for event in process.run(command):
        if isinstance(event, protocol.Prompt):
            start = event.t_ns
        elif isinstance(event, protocol.Chunk):
            stamps += event.t_ns
        elif isinstance(event, protocol.Error):
            raise BenchmarkError(f"{side.name}: {event.message} {event.detail}")
        elif isinstance(event, protocol.Done):
            done = event
    assert done is not None
    if len(done.token_ids) != new_tokens:
        raise BenchmarkError(f"{side.name} gave {len(done.token_ids)} tokens, not {new_tokens}.")
    cached = done.cached or 0
    return Answer(done.token_ids, timing(start, stamps, len(token_ids), cached), cached)

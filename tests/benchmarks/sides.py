"""Open engines in workers as the app does, without a screen."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.engine_lifecycle import EngineLifecycle
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
async def opened(
    bench: BenchmarkEnvironment, engine: str, checkpoint_name: str
) -> AsyncIterator[EngineLifecycle]:
    """Open an engine; close it at the end."""
    lifecycle = EngineLifecycle(
        Side(f"{checkpoint_name}-{engine.replace(':', '-')}"), bench.store, bench.logs, bench.start_worker
    )
    try:
        await open_engine(lifecycle, bench, engine, checkpoint_name)
        yield lifecycle
    finally:
        await lifecycle.close()


async def open_engine(
    lifecycle: EngineLifecycle, bench: BenchmarkEnvironment, engine: str, checkpoint_name: str
) -> PreparedEngine:
    """Prepare and load an engine as the app does; return the prepared engine.

    Raises:
        BenchmarkError: preparing or loading fails.
    """
    await lifecycle.open(bench.spec(engine, bench.checkpoints[checkpoint_name]))
    if error := lifecycle.side.error:
        raise BenchmarkError(f"{engine} on {checkpoint_name}: {error.message} {error.hint} {error.detail}")
    build = lifecycle.side.build
    assert build
    assert build.prepared
    return build.prepared


async def generate(engine: EngineLifecycle, token_ids: Sequence[int], new_tokens: int) -> Answer:
    """Generate exactly `new_tokens` tokens after `token_ids`.

    Raises:
        BenchmarkError: the engine fails or stops early.
    """
    side, process = engine.side, engine.process
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

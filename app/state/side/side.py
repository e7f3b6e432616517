"""One of the two chats: its engine, its conversation and what was measured of it. No widget in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from app.state.conversation.conversation import Conversation, Turn
from app.state.prepare.forecast import estimate_of
from app.state.settings.settings import DEMO
from app.state.side.answer_record import STALL_SECONDS, AnswerRecord
from app.state.side.prefix_reuse import PrefixReuse
from app.state.side.snapshot import Phase, RateSeries
from engines.backends.registry import BACKENDS
from engines.build.prepare import PreparedEngine, StartWorker, Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.environments.start import start_worker
from engines.errors import EngineError
from engines.measure.timing import RateWindow, timing
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.estimate.estimate import Estimate
from engines.worker import protocol
from engines.worker.log_files import log_file
from engines.worker.process import EngineProcess

ANSWERING = frozenset({Phase.QUEUED, Phase.PREFILL, Phase.DECODE, Phase.STOPPING})


class Side:
    """An engine in a process of its own, and the conversation with it.

    The conversation stays when the engine dies or is replaced.
    """

    def __init__(
        self,
        name: str,
        store: EngineStore,
        logs: Path,
        on_change: Callable[[Side], None] = lambda _: None,
        start_worker: StartWorker = start_worker,
    ) -> None:
        self.name = name
        """`left` or `right`."""
        self.conversation = Conversation()
        self.spec: EngineSpec | None = None
        self.checkpoint: Checkpoint | None = None
        self.ready: protocol.Ready | None = None
        self.error: protocol.Error | None = None
        """Why there is no engine, or the last answer failed."""
        self.kv: protocol.KVUsage | None = None
        self.memory: protocol.MemoryUsage | None = None
        self.build_seconds: float | None = None
        self.phase = Phase.EMPTY
        self.phase_since = time.monotonic()
        self.estimate: Estimate | None = None
        """What was expected of the engine that is loaded."""
        self.rates = RateSeries()
        self.reuse = PrefixReuse()
        self.record = AnswerRecord()
        self.process: EngineProcess | None = None
        self._rate = RateWindow()
        self._store = store
        self._logs = logs
        self._on_change = on_change
        self._start_worker = start_worker
        self._answering: int | None = None
        self._token_at = 0.0
        self._watch: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """`OpenVINO int8`; empty while there is no engine."""
        return engine_title(self.spec) if self.spec else ""

    @property
    def checkpoint_name(self) -> str:
        """`demo`, a hub id or a folder's name; empty while there is no engine."""
        if self.spec is None or self.checkpoint is None:
            return ""
        return DEMO if self.spec.checkpoint == str(CHECKPOINT) else self.checkpoint.name

    @property
    def log_path(self) -> Path:
        """Where this side's worker logs."""
        return log_file(self._logs, self.name)

    @property
    def can_answer(self) -> bool:
        """Whether a prompt may be sent now."""
        return self.phase is Phase.READY

    def rate(self) -> float:
        """Decode tok/s of the last second."""
        return self._rate.rate(time.monotonic_ns())

    @property
    def stalled_seconds(self) -> float:
        """How long no token has come though the side decodes; 0 where that is no cause for worry."""
        silent = time.monotonic() - self._token_at
        return silent if self.phase is Phase.DECODE and silent > STALL_SECONDS else 0.0

    async def open(self, spec: EngineSpec) -> AsyncGenerator[Step, None]:
        """Replace this side's engine. Yields the steps; the last is a Ready or an Error.

        Closing the iterator early cancels: the build's worker is killed and the side is empty.
        """
        await self.close()
        self.spec, self.error = spec, None
        self._enter(Phase.PREPARING)
        try:
            prepared: PreparedEngine | None = None
            log = log_file(self._logs, f"{self.name}-build")
            async with aclosing(prepare(spec, self._store, log, self._start_worker)) as steps:
                async for step in steps:
                    if isinstance(step, PreparedEngine):
                        prepared = step
                    elif isinstance(step, protocol.Error):
                        self._fail(step)
                    yield step
            if prepared is not None:
                async with aclosing(self._load(prepared)) as steps:
                    async for step in steps:
                        yield step
        finally:
            if self.phase in (Phase.PREPARING, Phase.LOADING):  # cancelled
                await asyncio.shield(self.close())

    async def _load(self, prepared: PreparedEngine) -> AsyncGenerator[Step, None]:
        self._enter(Phase.LOADING)
        self.spec, self.checkpoint = prepared.spec, prepared.checkpoint
        self.build_seconds = prepared.stored.manifest.build_seconds if prepared.stored else None
        try:
            self.process = process = await self._start_worker(prepared.spec.backend, self.log_path)
        except EngineError as error:
            failed = protocol.Error(0, error.code, error.message, error.hint)
            self._fail(failed)
            yield failed
            return
        command = protocol.Load(process.next_id(), prepared.spec.to_json(), prepared.directory)
        async with aclosing(process.run(command)) as events:
            async for event in events:
                if isinstance(event, protocol.Ready):
                    self.ready, self.kv, self.memory = event, event.kv, event.memory
                    self.estimate = estimate_of(prepared.spec, prepared.checkpoint)
                    self._watch = asyncio.create_task(self._watch_process(process))
                    self._enter(Phase.READY)
                elif isinstance(event, protocol.Error):
                    await process.kill()
                    self._fail(event)
                yield event

    async def ask(
        self,
        turn: Turn,
        messages: tuple[dict[str, str], ...],
        sampling: protocol.Sampling,
        *,
        trim: bool = False,
    ) -> AsyncGenerator[protocol.Event, None]:
        """Let the engine answer `turn`, writing into it. Yields events, a Done or Error last.

        Args:
            trim: whether the oldest turns may be left out where the context holds no more.
        """
        process = self.process
        if process is None or not self.can_answer:
            error = self.error or protocol.Error(
                0, "no-engine", "This side has no engine.", "Choose one with F2."
            )
            turn.error = error
            yield error
            return
        self._answering = process.next_id()
        self._enter(Phase.PREFILL)
        recorder = _Recorder(turn)
        self._rate.clear()
        turn.context = self.ready.context if self.ready else 0
        command = protocol.Generate(self._answering, messages, None, sampling, trim)
        try:
            async with aclosing(process.run(command)) as events:
                async for event in events:
                    self._take(event, recorder)
                    yield event
        finally:
            self._answering = None
            if self.phase in ANSWERING:
                self._enter(Phase.READY)

    def _take(self, event: protocol.Event, recorder: _Recorder) -> None:
        match event:
            case protocol.Chunk():
                if self.phase is Phase.PREFILL:
                    self._enter(Phase.DECODE)
                recorder.chunk(event)
                self._token_at = time.monotonic()
                self.record.tokens(event.t_ns)
                # The worker's clock is this machine's monotonic clock, so the stamps can be used as they are.
                self._rate.add(event.t_ns)
            case protocol.KV():
                self.kv = event.usage
            case protocol.Memory():
                self.memory = event.usage
            case protocol.Prompt():
                recorder.prompt(event)
            case protocol.Done():
                recorder.done(event)
            case protocol.Error():
                recorder.failed(event)
                if event.code.startswith("worker-"):
                    self._fail(event)

    async def stop(self) -> None:
        """End the answer under way within one step, or the wait for one's turn."""
        if self.phase is Phase.QUEUED:
            self._enter(Phase.STOPPING)
        elif self.process and self._answering is not None:
            self._enter(Phase.STOPPING)
            await self.process.stop(self._answering)

    def queue(self) -> None:
        """This side waits for the other one: timing mode *in turn*."""
        if self.phase is Phase.READY:
            self._enter(Phase.QUEUED)

    def unqueue(self) -> bool:
        """The wait is over; says whether the side is still to answer, or was stopped meanwhile."""
        stopped = self.phase is Phase.STOPPING and self._answering is None
        if stopped or self.phase is Phase.QUEUED:
            self._enter(Phase.READY)
        return not stopped

    async def close(self) -> None:
        """End the engine's process; the conversation stays."""
        process, self.process = self.process, None
        if self._watch:
            self._watch.cancel()
            self._watch = None
        try:
            if process:
                await process.close()
        finally:
            self.ready = self.kv = self.memory = self.build_seconds = self.estimate = None
            self._enter(Phase.EMPTY)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.phase_since = phase, time.monotonic()
        self.record.enter(phase, phase in ANSWERING)
        self._on_change(self)

    def _fail(self, error: protocol.Error) -> None:
        self.error = error
        self._enter(Phase.FAILED)

    async def _watch_process(self, process: EngineProcess) -> None:
        """Notice a worker that dies while nobody asks it anything."""
        await process.ended.wait()
        if process is self.process and self.phase is Phase.READY:
            self._fail(await process.ask(protocol.Describe(process.next_id())))  # type: ignore[arg-type]


class _Recorder:
    """Writes an answer's events into its turn."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._start_ns = 0
        self._times: list[int] = []

    def prompt(self, event: protocol.Prompt) -> None:
        self._start_ns, self.turn.cached = event.t_ns, event.cached
        self.turn.left_out = event.left_out
        self.turn.prompt_tokens, self.turn.prompt_digest = event.tokens, event.digest

    def chunk(self, event: protocol.Chunk) -> None:
        self.turn.answer += event.text
        self.turn.token_ids += event.token_ids
        self._times += event.t_ns

    def done(self, event: protocol.Done) -> None:
        self.turn.answer, self.turn.token_ids, self.turn.reason = event.text, event.token_ids, event.reason
        self.turn.cached = event.cached if event.cached is not None else self.turn.cached
        self._time()

    def failed(self, event: protocol.Error) -> None:
        self.turn.error = event
        self._time()

    def _time(self) -> None:
        turn = self.turn
        turn.timing = timing(self._start_ns, self._times, turn.prompt_tokens, turn.cached)


def engine_title(spec: EngineSpec) -> str:
    """`OpenVINO int8`, or `TensorRT-LLM fp8 on 2 GPUs` where its weights are split."""
    split = f" on {spec.gpus} GPUs" if spec.gpus > 1 else ""
    return f"{BACKENDS[spec.backend].title} {spec.precision}{split}"

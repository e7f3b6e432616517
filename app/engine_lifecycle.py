"""The life of a side's engine: prepare, load, watch, answer, close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from app.state.conversation.turn import Turn
from app.state.prepare.build_state import BuildState
from app.state.prepare.engine_titles import engine_title
from app.state.prepare.forecast import estimate_of
from app.state.side.answer_recorder import NO_ENGINE, REPLACED, AnswerRecorder
from app.state.side.phase import ANSWERING, OPENING, TRANSITIONS, Phase
from app.state.side.side import Side
from engines.build.prepare import PreparedEngine, StartWorker, Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.environments.start import start_worker
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.error_mapping import to_error_event
from engines.worker.log_files import log_file
from engines.worker.process import EngineProcess

OnBuild = Callable[[Side, Step | None], None]
"""Called with each step of an opening, and with None when it begins and when it has ended."""
OnEvent = Callable[[protocol.Event], None]


class EngineLifecycle:
    """Owns the engine of one side: only this class starts and ends its process and changes its phase.

    At most one engine is being opened, and at most one process is held. The process is watched from its
    start on, so that a side never shows an engine whose process has ended.
    """

    def __init__(
        self,
        side: Side,
        store: EngineStore,
        logs: Path,
        start_worker: StartWorker = start_worker,
        on_build: OnBuild = lambda _, __: None,
    ) -> None:
        """Create it for a side without an engine.

        Args:
            logs: folder of the workers' log files.
            on_build: called after each change of `side.build`, with the step if it was one.
        """
        self.side = side
        self._store = store
        # Named once: sides exchange their names, and two workers must not share a file.
        self._log = log_file(logs, side.name)
        self._start_worker = start_worker
        self._on_build = on_build
        self._opening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """Held while an engine is opened or closed."""
        self._process: EngineProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._answer_id: int | None = None
        self._wanted: EngineSpec | None = None
        """What was asked for last, before its checkpoint became a folder."""

    @property
    def process(self) -> EngineProcess | None:
        """The worker that holds the engine."""
        return self._process

    @property
    def is_opening(self) -> bool:
        """Whether an engine is being prepared or loaded."""
        return self._opening is not None and not self._opening.done()

    def open(self, spec: EngineSpec) -> asyncio.Task[None]:
        """Replace the engine; what is being opened is cancelled first.

        Returns:
            A task that ends when the engine is ready or failed; cancelling it cancels the opening. It
            raises no other exception: errors are in `side.error` and `side.build.error`.
        """
        self.cancel_opening()
        self._wanted = spec
        build = self.side.build = BuildState(engine_title(spec))
        self._opening = asyncio.create_task(self._open(spec, build), name=f"open {self.side.name}")
        self._opening.add_done_callback(lambda _: self._end_build(build))
        self._on_build(self.side, None)
        return self._opening

    def restart(self) -> bool:
        """Open a failed engine again. Returns False, and does nothing, unless the side has failed."""
        if self.side.phase is not Phase.FAILED or self.is_opening or self._wanted is None:
            return False
        self.open(self._wanted)
        return True

    async def cancel(self) -> None:
        """Cancel the opening and wait until nothing of it is left."""
        self.cancel_opening()
        if self._opening:
            await asyncio.wait([self._opening])

    async def close(self) -> None:
        """End the engine and what is being opened; the conversation stays."""
        await self.cancel()
        async with self._turn:
            try:
                await self._end_process()
            finally:
                if self.side.phase is not Phase.EMPTY:
                    self._enter(Phase.EMPTY)

    async def answer(
        self,
        turn: Turn,
        messages: tuple[dict[str, str], ...],
        sampling: protocol.Sampling,
        *,
        trim: bool = False,
        on_event: OnEvent = lambda _: None,
    ) -> None:
        """Let the engine answer `turn` and record the answer in it; a failure is its `error`.

        The turn gets the title of the engine that computes the answer, which may have been replaced since the
        prompt was sent.

        Args:
            trim: whether the oldest turns may be dropped when the context window cannot hold all.
            on_event: called with every event of the answer, after it was recorded.
        """
        side, process = self.side, self._process
        if process is None or not side.can_answer:
            turn.error = REPLACED if self.is_opening else side.error or NO_ENGINE
            on_event(turn.error)
            return
        recorder = AnswerRecorder(turn)
        turn.engine, turn.checkpoint = side.title, side.checkpoint_name
        turn.context = side.ready.context if side.ready else 0
        self._answer_id = identity = process.next_id()
        self._enter(Phase.PREFILL)
        side.clear_rate()

        def take(event: protocol.Event) -> None:
            recorder.take(event)
            if process is self._process:
                self._take(event)
            on_event(event)

        try:
            take(await process.ask(protocol.Generate(identity, messages, None, sampling, trim), take))
        finally:
            if process is self._process:
                self._answer_id = None
                if side.phase in ANSWERING:
                    self._enter(Phase.READY)

    async def stop(self) -> None:
        """End the answer in progress within one decode step, or the wait for this side's turn."""
        if self.side.phase is Phase.QUEUED:
            self._enter(Phase.STOPPING)
        elif self.side.phase in (Phase.PREFILL, Phase.DECODE) and self._process and self._answer_id:
            self._enter(Phase.STOPPING)
            await self._process.stop(self._answer_id)

    def queue(self) -> None:
        """Let this side wait for the other one: timing mode *in turn*."""
        if self.side.phase is Phase.READY:
            self._enter(Phase.QUEUED)

    def unqueue(self) -> bool:
        """End the wait. Returns False when it was stopped meanwhile, and nothing is to be answered."""
        stopped = self.side.phase is Phase.STOPPING and self._answer_id is None
        if stopped or self.side.phase is Phase.QUEUED:
            self._enter(Phase.READY)
        return not stopped

    def cancel_opening(self) -> None:
        """Cancel what is being prepared or loaded, without waiting for its end."""
        # Once only: a second cancellation would interrupt the clean-up after the first.
        if self._opening and not self._opening.done() and not self._opening.cancelling():
            self._opening.cancel()

    def _end_build(self, build: BuildState) -> None:
        """The task has ended, perhaps cancelled before its first step."""
        if build.running:
            build.cancel()
        self._on_build(self.side, None)

    async def _open(self, spec: EngineSpec, build: BuildState) -> None:
        error: protocol.Error | None = None
        async with self._turn:
            try:
                await self._replace(spec, build)
            except Exception as failure:  # an EngineError, or a bug that becomes one
                error = to_error_event(0, failure)
            finally:
                if self.side.phase in OPENING:  # failed or cancelled
                    await asyncio.shield(self._abandon(error))
                if error:
                    build.take(error)

    async def _replace(self, spec: EngineSpec, build: BuildState) -> None:
        def take(step: Step) -> None:
            build.take(step)
            self._on_build(self.side, step)

        side, previous = self.side, self._process
        side.spec, side.checkpoint, side.error = spec, None, None
        if side.phase is not Phase.EMPTY:
            self._enter(Phase.EMPTY)
        self._enter(Phase.PREPARING)
        await self._end_process()
        if previous and previous.is_stuck:
            take(protocol.Log(0, f"process {previous.pid} cannot be ended and may still hold memory"))
        process = await self._start(spec.backend)
        prepared = await prepare(spec, self._store, process, take)
        side.spec, side.checkpoint = prepared.spec, prepared.checkpoint
        side.build_seconds = prepared.stored.manifest.build_seconds if prepared.stored else None
        self._enter(Phase.LOADING)
        # A build ends its worker; otherwise the worker that was asked for its versions loads the engine.
        await self._load(process if process.alive else await self._start(spec.backend), prepared, take)

    async def _start(self, backend: str) -> EngineProcess:
        process = await self._start_worker(backend, self._log)
        if self._watch:
            self._watch.cancel()
        self._process, self.side.pid = process, process.pid
        self._watch = asyncio.create_task(self._watch_process(process), name=f"watch {process.pid}")
        return process

    async def _load(
        self, process: EngineProcess, prepared: PreparedEngine, take: Callable[[Step], None]
    ) -> None:
        side = self.side
        command = protocol.Load(process.next_id(), prepared.spec.to_json(), prepared.directory)
        event = await process.ask(command, take)
        if isinstance(event, protocol.Error):
            raise EngineError(event.code, event.message, event.hint, event.detail)
        assert isinstance(event, protocol.Ready)
        side.ready, side.kv, side.memory = event, event.kv, event.memory
        side.estimate = estimate_of(prepared.spec, prepared.checkpoint)
        self._enter(Phase.READY)
        take(event)

    async def _abandon(self, error: protocol.Error | None) -> None:
        """After a failed or cancelled opening."""
        with contextlib.suppress(Exception):  # the error of the opening is the one to report
            await self._end_process()
        if error:
            self._fail(error)
        else:
            self._enter(Phase.EMPTY)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if self._watch:
            self._watch.cancel()
            self._watch = None
        try:
            if process:
                await process.close()
        finally:
            self._answer_id = None
            self.side.unload()

    async def _watch_process(self, process: EngineProcess) -> None:
        """Fail the side when its process ends unexpectedly, in any phase."""
        await process.ended.wait()
        closed = process.death is None or process.death.code == "worker-closed"
        opening = self.side.phase in OPENING  # the opening itself reports it
        if process is self._process and not closed and not opening:
            self._fail(process.death)

    def _take(self, event: protocol.Event) -> None:
        """Follow the answer in progress."""
        if isinstance(event, protocol.Chunk) and self.side.phase is Phase.PREFILL:
            self._enter(Phase.DECODE)
        self.side.take(event)
        if isinstance(event, protocol.Error) and event.code.startswith("worker-"):
            self._fail(event)

    def _fail(self, error: protocol.Error | None) -> None:
        self.side.error = error
        if self.side.phase is not Phase.FAILED:
            self._enter(Phase.FAILED)

    def _enter(self, phase: Phase) -> None:
        """Change the phase of the side.

        Raises:
            ValueError: a transition that TRANSITIONS does not have: a bug.
        """
        if phase not in TRANSITIONS[self.side.phase]:
            raise ValueError(f"{self.side.name}: {self.side.phase} cannot become {phase}")
        self.side.enter(phase)

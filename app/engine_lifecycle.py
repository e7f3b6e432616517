"""The life of a side's engine: prepare, load, watch, answer, close."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from app.engine_swap import Candidate, EngineSwap, NotReplacedError
from app.state.conversation.turn import Turn
from app.state.prepare.build_state import BuildState
from app.state.prepare.engine_titles import engine_title
from app.state.prepare.forecast import estimate_of
from app.state.side.answer_recorder import NO_ENGINE, REPLACED, AnswerRecorder
from app.state.side.phase import ANSWERING, OPENING, TRANSITIONS, Phase
from app.state.side.side import Side
from engines.build.prepare import OnStep, PreparedEngine, StartWorker, Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.engine import ComparedEngine
from engines.compare.token_scores import ScoredAnswer, score_answer
from engines.environments.start import start_worker
from engines.errors import EngineError
from engines.plan.estimate.memory_need import MemoryNeed
from engines.worker import protocol
from engines.worker.error_mapping import to_error_event
from engines.worker.log_files import append_log, log_file
from engines.worker.process import EngineProcess
from engines.worker.values import Sampling

OnBuild = Callable[[Side, Step | None], None]
"""Called with each step of an opening, and with None when it begins and when it has ended."""
OnEvent = Callable[[protocol.Event], None]
UNRESPONSIVE = "The worker did not respond and was ended."


class EngineLifecycle:
    """Owns the engine of one side: only this class starts and ends its process and changes its phase.

    At most one engine is being opened. A running engine answers until the new one is loaded, or until it has
    to make room for it; if the new one fails, it stays. The process of the engine that a side shows is
    watched, so that a side never shows an engine whose process has ended.
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
        self._logs = [log_file(logs, side.name), log_file(logs, f"{side.name}-next")]
        """Of the running engine's worker, and of the one that is to replace it."""
        self._start_worker = start_worker
        self._on_build = on_build
        self._opening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """Held while an engine is opened or closed."""
        self._process: EngineProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loaded: ComparedEngine | None = None
        self._answer_id: int | None = None
        self._scoring: asyncio.Task[ScoredAnswer] | None = None
        self._wanted: EngineSpec | None = None
        """What was asked for last, before its checkpoint became a folder."""
        self._running: EngineSpec | None = None
        """What was asked for when the running engine was opened."""
        self._idle = asyncio.Event()
        """Set while nothing is being answered."""
        self._idle.set()

    @property
    def process(self) -> EngineProcess | None:
        """The worker that holds the engine."""
        return self._process

    @property
    def wanted(self) -> EngineSpec | None:
        """What was asked for last; that of the running engine after an opening that did not replace it."""
        return self._wanted

    @property
    def kept(self) -> bool:
        """Whether the running engine was to be replaced and was not."""
        build = self.side.build
        return self._process is not None and build is not None and not build.running and build.ready is None

    @property
    def is_opening(self) -> bool:
        """Whether an engine is being prepared or loaded."""
        return self._opening is not None and not self._opening.done()

    def open(self, spec: EngineSpec, swap: EngineSwap | None = None) -> asyncio.Task[None]:
        """Open an engine, which replaces the running one; what is being opened is cancelled first.

        Args:
            swap: shared by the engines that are opened together.

        Returns:
            A task that ends when the engine is ready or failed; cancelling it cancels the opening. It
            raises no other exception: errors are in `side.build.error`, and without a running engine in
            `side.error`.
        """
        self.cancel_opening()
        self._wanted = spec
        swap = swap or EngineSwap([self])
        replaces = self._process is not None and self._process.alive
        build = self.side.build = BuildState(engine_title(spec), log=self._logs[replaces])
        self._opening = asyncio.create_task(self._open(spec, build, swap), name=f"open {self.side.name}")
        self._opening.add_done_callback(lambda _: self._end_build(build, swap))
        self._on_build(self.side, None)
        return self._opening

    def restart(self) -> bool:
        """Open the engine of a side again that has failed or does not respond; its worker is killed.

        Returns False, and does nothing, on any other side.
        """
        needed = self.side.phase is Phase.FAILED or self.side.is_unresponsive
        waits = self.is_opening and not self.side.is_unresponsive  # an opening waits for its answer to end
        if not needed or waits or self._wanted is None:
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
        turn.engine_digest, turn.machine, turn.versions = side.digest, side.machine, side.versions
        turn.parameters = side.checkpoint.parameters if side.checkpoint else None
        if side.ready:
            turn.context, turn.ignored_sampling = side.ready.context, side.ready.ignored_sampling
            turn.template_arguments = turn.thinking.arguments(side.ready.template_variables)
        self._answer_id = identity = process.next_id()
        self._enter(Phase.PREFILL)
        side.clear_rate()

        def take(event: protocol.Event) -> None:
            recorder.take(event)
            if process is self._process:
                self._take(event)
            on_event(event)

        try:
            arguments = turn.template_arguments
            command = protocol.Generate(identity, messages, None, sampling, trim, arguments)
            take(await process.ask(command, take))
        finally:
            recorder.complete()
            if process is self._process:
                self._answer_id = None
                if side.phase in ANSWERING:
                    self._enter(Phase.READY)

    async def run_load(
        self, users: int, requests: int, prompts: Sequence[str], sampling: Sampling, on_event: OnEvent
    ) -> protocol.Event:
        """Run a load test, until it ends or `stop`; return its last event, an Error if it failed."""
        await self.scored()
        loaded, process = self._loaded, self._process
        if loaded is None or process is None or not self.side.can_answer:
            return self.side.error or NO_ENGINE
        command = loaded.load_test(users, requests, prompts, sampling)
        self._answer_id = command.id
        self._enter(Phase.PREFILL)
        event: protocol.Event = NO_ENGINE
        try:

            def take(event: protocol.Event) -> None:
                if isinstance(event, protocol.Stage):  # it responds, and then loads the engine again
                    self.side.stop_sent = None
                on_event(event)

            event = await process.ask(command, take)
            return event
        finally:
            if process is self._process:
                self._answer_id = None
                if isinstance(event, protocol.Error) and event.code.startswith("worker-"):
                    self._fail(event)
                elif self.side.phase in ANSWERING:
                    self._enter(Phase.READY)

    async def score(self, prompt: AskedPrompt) -> ScoredAnswer:
        """Return what the engine expects at each token of an answer. The worker does not stop when cancelled.

        Raises:
            EngineError: it is not ready, or cannot score the answer.
        """
        await self.scored()  # what was cancelled is still computed
        if self._loaded is None or self.side.phase is not Phase.READY:
            raise EngineError("not-ready", "The engine is busy or not loaded.", "Try again when it is ready.")
        self._scoring = asyncio.create_task(score_answer(self._loaded, prompt))
        return await asyncio.shield(self._scoring)

    async def scored(self) -> None:
        """Wait until nothing is being scored, so that the next answer is not slowed down."""
        if self._scoring:
            await asyncio.wait([self._scoring])

    async def stop(self) -> None:
        """End the answer in progress within one decode step, or the wait for this side's turn."""
        if self.side.phase is Phase.QUEUED:
            self._enter(Phase.STOPPING)
        elif self.side.phase in (Phase.PREFILL, Phase.DECODE) and self._process and self._answer_id:
            self._enter(Phase.STOPPING)
            self.side.stop_sent = time.monotonic()
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

    def _end_build(self, build: BuildState, swap: EngineSwap) -> None:
        """The task has ended, perhaps cancelled before its first step."""
        if build.running:
            build.cancel()
        if build is self.side.build and self.kept:
            self._wanted = self._running
        swap.leave(self, failed=build.error is not None)
        self._on_build(self.side, None)

    async def _open(self, spec: EngineSpec, build: BuildState, swap: EngineSwap) -> None:
        def take(step: Step) -> None:
            build.take(step)
            self._on_build(self.side, step)

        error: protocol.Error | None = None
        async with self._turn:
            try:
                if self._process and self._process.alive and not self.side.is_unresponsive:
                    await self._replace(spec, swap, take)
                else:
                    await self._open_first(spec, take)
            except NotReplacedError as reason:
                build.keep(str(reason))
            except Exception as failure:  # an EngineError, or a bug that becomes one
                error = to_error_event(0, failure)
                if build.log and error.code == "internal":
                    await asyncio.to_thread(append_log, build.log, error.detail)
            finally:
                if self.side.phase in OPENING:  # failed or cancelled
                    await asyncio.shield(self._abandon(error))
                if error:
                    build.take(error)

    async def _open_first(self, spec: EngineSpec, take: OnStep) -> None:
        """Open an engine on a side that has none, a dead one, or one that does not respond."""
        side, previous, unresponsive = self.side, self._process, self.side.is_unresponsive
        side.spec, side.checkpoint, side.error = spec, None, None
        if side.phase is not Phase.EMPTY:
            self._enter(Phase.EMPTY)
        self._enter(Phase.PREPARING)
        await self._end_process(kill=unresponsive)
        _report_stuck(previous, take)
        self._hold(await self._start_worker(spec.backend, self._logs[0]))
        assert self._process
        prepared = await prepare(spec, self._store, self._process, take)
        if not self._process.alive:  # a builder that leaves memory behind has ended
            self._hold(await self._start_worker(spec.backend, self._logs[0]))
        await self._load_held(prepared, take)

    async def _replace(self, spec: EngineSpec, swap: EngineSwap, take: OnStep) -> None:
        """Open an engine while another one runs, which stays if this fails."""
        process = await self._start_worker(spec.backend, self._logs[1])
        try:
            prepared = await prepare(spec, self._store, process, take)
            if self._has_loaded(prepared):
                take(protocol.Log(0, "this engine is loaded already"))
                assert self.side.ready
                take(self.side.ready)
                return
            # What was just built is in memory already, together with the running engines.
            estimate = None if prepared.loaded else estimate_of(prepared.spec, prepared.checkpoint)
            need = MemoryNeed(prepared.spec.devices, estimate.peak if estimate else 0)
            unloaded = await swap.prepared(self, Candidate(need, self.side.title, self._unload))
            if not process.alive:
                process = await self._start_worker(spec.backend, self._logs[1])
            if unloaded:
                self._enter(Phase.PREPARING)
                self._hold(process)
                self._logs.reverse()
                await self._load_held(prepared, take)
            else:
                loaded = ComparedEngine(process, prepared, take)
                await loaded.load()
                await self._until_idle()
                await self._adopt(process, loaded, take)
        finally:
            if process is not self._process:
                await asyncio.shield(process.close())

    def _has_loaded(self, prepared: PreparedEngine) -> bool:
        loaded = self._loaded.prepared if self._loaded else None
        return loaded is not None and (loaded.spec, loaded.digest) == (prepared.spec, prepared.digest)

    async def _unload(self) -> None:
        """End the running engine, after its answer."""
        await self._until_idle()
        if self.side.phase is not Phase.EMPTY:
            self._enter(Phase.EMPTY)
        await self._end_process()

    async def _until_idle(self) -> None:
        """Wait for the end of the answer in progress and of scoring."""
        await self.scored()
        while not self._idle.is_set():
            await self._idle.wait()

    async def _adopt(self, process: EngineProcess, loaded: ComparedEngine, take: OnStep) -> None:
        """Replace the running engine by one that is loaded, then end the old process."""
        previous = self._process
        self._loaded = self._answer_id = None
        self.side.unload()
        for phase in (Phase.EMPTY, Phase.PREPARING):
            if self.side.phase is not phase:
                self._enter(phase)
        self._hold(process)
        self._logs.reverse()
        self._show(loaded.prepared)
        self._become_ready(loaded, take)
        if previous:
            await asyncio.shield(previous.close())
        _report_stuck(previous, take)

    def _hold(self, process: EngineProcess) -> None:
        """Make `process` the one that this side shows, and watch it."""
        if self._watch:
            self._watch.cancel()
        self._process, self.side.pid = process, process.pid
        self._watch = asyncio.create_task(self._watch_process(process), name=f"watch {process.pid}")

    async def _load_held(self, prepared: PreparedEngine, take: OnStep) -> None:
        assert self._process
        self._show(prepared)
        loaded = ComparedEngine(self._process, prepared, take)
        await loaded.load()
        self._become_ready(loaded, take)

    def _show(self, prepared: PreparedEngine) -> None:
        """Show the engine that is being loaded."""
        side = self.side
        side.spec, side.checkpoint, side.digest = prepared.spec, prepared.checkpoint, prepared.digest
        side.versions = prepared.versions
        side.build_seconds = prepared.stored.manifest.build_seconds if prepared.stored else None
        side.error = None
        self._enter(Phase.LOADING)

    def _become_ready(self, loaded: ComparedEngine, take: OnStep) -> None:
        side, event = self.side, loaded.ready
        assert event
        reports_cache = event.server is None or bool(event.server.metrics)
        side.ready, side.memory = event, event.memory
        side.kv = event.kv if reports_cache else None
        side.estimate = estimate_of(loaded.prepared.spec, loaded.prepared.checkpoint)
        self._loaded, self._running = loaded, self._wanted
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

    async def _end_process(self, *, kill: bool = False) -> None:
        """End the worker; with `kill` one that does not respond, without the time to release its engine."""
        process, self._process, self._loaded = self._process, None, None
        if self._watch:
            self._watch.cancel()
            self._watch = None
        try:
            if process and kill:
                await process.kill(UNRESPONSIVE)
            elif process:
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
        if phase in ANSWERING:
            self._idle.clear()
        else:
            self._idle.set()
        self.side.enter(phase)


def _report_stuck(process: EngineProcess | None, take: OnStep) -> None:
    if process and process.is_stuck:
        take(protocol.Log(0, f"process {process.pid} cannot be ended and may still hold memory"))

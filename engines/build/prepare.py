"""From a spec to an engine that a worker can load: fetch, look in the store, build if need be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.registry import BACKENDS
from engines.build.off_loop import in_thread, off_loop
from engines.build.options import resolve_options
from engines.build.spec import EngineSpec, fingerprint_inputs
from engines.build.store import EngineStore, check_space
from engines.build.stored_engine import StoredEngine
from engines.build.support_check import refuse_unsupported
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder, looks_like_hub_id
from engines.plan.estimate.estimate import estimate_weight_bytes
from engines.plan.random_shape import PREFIX, random_seed, shape_folder
from engines.worker import protocol
from engines.worker.error_mapping import DISK_FULL_HINT, is_disk_full
from engines.worker.process import EngineProcess

StartWorker = Callable[[str, Path], Awaitable[EngineProcess]]
"""Starts a worker: name of the backend and log file. Some backends live in another environment."""
LOCK_SECONDS = 0.5
"""How often a waiting app looks whether the other one has finished."""


@dataclass(frozen=True)
class PreparedEngine:
    """Ready to be loaded: the last step of `prepare`."""

    spec: EngineSpec
    """With the checkpoint as a folder on this disk."""
    checkpoint: Checkpoint
    stored: StoredEngine | None
    """None for backends that build nothing."""
    reused: bool
    seconds: float
    """From the request to here."""

    @property
    def directory(self) -> str:
        """What the Load command wants."""
        return str(self.stored.directory) if self.stored else ""


Step = protocol.Event | PreparedEngine
"""Stage, Progress and Log on the way; at the end a PreparedEngine or an Error."""


async def prepare(
    spec: EngineSpec, store: EngineStore, log_path: Path, start: StartWorker = EngineProcess.start
) -> AsyncGenerator[Step, None]:
    """Yield the steps to a loadable engine. Closing the iterator cancels the build and leaves nothing.

    Every generator in here is closed by the one around it: left to the garbage collector, an inner one
    would go on holding the store's lock after the outer one was cancelled.

    Args:
        log_path: where the build's worker logs.
        start: how a worker for a backend is started.
    """
    try:
        process = await start(spec.backend, log_path)
    except EngineError as error:
        yield _as_step(error, store)
        return
    try:
        async with aclosing(_Preparation(spec, store, process).steps()) as steps:
            async for step in steps:
                yield step
    except (EngineError, OSError) as error:
        yield _as_step(error, store)
    finally:
        await asyncio.shield(process.kill())


class _Preparation:
    def __init__(self, spec: EngineSpec, store: EngineStore, process: EngineProcess) -> None:
        self._spec = spec
        self._store = store
        self._process = process
        self._started = time.monotonic()

    async def steps(self) -> AsyncGenerator[Step, None]:
        await asyncio.to_thread(refuse_unsupported, self._spec)
        folder = await asyncio.to_thread(local_folder, self._spec)
        if folder is None:
            async with aclosing(self._fetch()) as events:
                async for event in events:
                    if isinstance(event, protocol.Fetched):
                        folder = Path(event.folder)
                    else:
                        yield event
            if folder is None:
                return
        self._spec = replace(self._spec, checkpoint=str(folder))
        checkpoint = await asyncio.to_thread(
            read_checkpoint, folder, trust_remote_code=self._spec.trust_remote_code
        )
        self._spec, contents = await asyncio.to_thread(resolve_options, self._spec, checkpoint)
        described = await self._process.ask(protocol.Describe(self._process.next_id()))
        if not isinstance(described, protocol.Described):
            yield described
            return
        if not described.available:
            raise EngineError("backend-not-installed", described.reason, described.hint)
        if not BACKENDS[self._spec.backend].builds:
            yield self._prepared(checkpoint, None, reused=False)
            return
        if random_seed(folder) is not None and not BACKENDS[self._spec.backend].runs_shapes:
            raise _no_weights(self._spec)
        inputs = fingerprint_inputs(self._spec, checkpoint.identity, described.versions, contents)
        async with aclosing(self._find_or_build(checkpoint, inputs)) as steps:
            async for step in steps:
                yield step

    def _fetch(self) -> AsyncGenerator[protocol.Event, None]:
        process, spec = self._process, self._spec
        return process.run(protocol.Fetch(process.next_id(), spec.checkpoint, spec.revision))

    def _prepared(
        self, checkpoint: Checkpoint, stored: StoredEngine | None, *, reused: bool
    ) -> PreparedEngine:
        return PreparedEngine(self._spec, checkpoint, stored, reused, time.monotonic() - self._started)

    async def _find_or_build(
        self, checkpoint: Checkpoint, inputs: dict[str, str]
    ) -> AsyncGenerator[Step, None]:
        waiting = False
        while not (stored := await in_thread(self._store.find, inputs)):
            async with off_loop(self._store.lock(inputs)) as ours:
                # Looked for again: another builder may have finished between the look and the lock.
                if ours and not await in_thread(self._store.find, inputs):
                    async with aclosing(self._build(checkpoint, inputs)) as steps:
                        async for step in steps:
                            yield step
                    return
            if not ours and not waiting:
                waiting = True
                yield protocol.Log(0, "another trt-playground is building this engine; waiting for it")
            if not ours:
                await asyncio.sleep(LOCK_SECONDS)
        yield protocol.Log(0, f"reused from the store: {stored.fingerprint}, nothing to build")
        yield self._prepared(checkpoint, stored, reused=True)

    async def _build(self, checkpoint: Checkpoint, inputs: dict[str, str]) -> AsyncGenerator[Step, None]:
        if reason := await in_thread(self._store.why_not_reused, self._spec, inputs):
            yield protocol.Log(0, f"built anew, because {reason}")
        needed = estimate_weight_bytes(checkpoint, self._spec.precision)
        await in_thread(check_space, self._store.root, needed)
        begun = time.monotonic()
        async with off_loop(self._store.building(inputs)) as folder:
            prepared: protocol.Prepared | None = None
            async with aclosing(self._run_build(folder)) as events:
                async for event in events:
                    if isinstance(event, protocol.Prepared):
                        prepared = event
                    else:
                        yield event
            if prepared is None:
                return
            seconds = time.monotonic() - begun
            stored = await in_thread(self._store.commit, folder, self._spec, inputs, prepared.facts, seconds)
        yield protocol.Log(0, f"built in {seconds:.1f} s, {stored.size / 1e6:,.1f} MB: {stored.fingerprint}")
        yield self._prepared(checkpoint, stored, reused=False)

    async def _run_build(self, folder: Path) -> AsyncGenerator[protocol.Event, None]:
        process = self._process
        command = protocol.Prepare(process.next_id(), self._spec.to_json(), str(folder))
        try:
            async with aclosing(process.run(command)) as events:
                async for event in events:
                    yield event
        finally:
            # It must not write into its folder once that is being moved or removed, and nothing of it is
            # worth waiting for: its results are files.
            await asyncio.shield(process.kill())


def _no_weights(spec: EngineSpec) -> EngineError:
    return EngineError(
        "random-weights",
        f"{BACKENDS[spec.backend].title} builds from a checkpoint's files, and a shape has none.",
        "Its random weights are made by the PyTorch backends, on the device.",
    )


def _as_step(error: EngineError | OSError, store: EngineStore) -> protocol.Error:
    if isinstance(error, EngineError):
        return protocol.Error(0, error.code, error.message, error.hint)
    if is_disk_full(error):
        return protocol.Error(0, "disk-full", "The disk is full.", DISK_FULL_HINT, str(error))
    words = f"The engine store cannot be written: {error}."
    return protocol.Error(0, "disk", words, f"Look at {store.root}, then try again.")


def local_folder(spec: EngineSpec) -> Path | None:
    """The checkpoint's folder on this disk: given as such, or found in the hub cache; None to fetch it.

    Raises:
        EngineError: it is neither a folder nor a hub id.
    """
    if spec.checkpoint.startswith(PREFIX):
        return shape_folder(spec.checkpoint)
    # OSError: a name that is too long; RuntimeError: a home folder that nobody has.
    with suppress(OSError, RuntimeError):
        folder = Path(spec.checkpoint).expanduser()
        if folder.is_dir():
            return folder.resolve()
    if not looks_like_hub_id(spec.checkpoint):
        raise EngineError(
            "no-checkpoint",
            f"There is no folder {spec.checkpoint!r}.",
            "Give a folder with config.json and safetensors, or a hub id such as org/name.",
        )
    for cached in hub_cache_checkpoints(hub_cache_folder()):
        wanted = cached.revision == spec.revision if spec.revision else cached.is_main
        if cached.hub_id == spec.checkpoint and wanted:
            return cached.folder
    return None

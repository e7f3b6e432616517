"""From a spec to an engine that a worker can load: fetch, look in the store, build if need be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec, fingerprint_inputs
from engines.build.store import EngineStore, StoredEngine, check_space
from engines.errors import EngineError
from engines.plan.checkpoint import Checkpoint, read_checkpoint
from engines.plan.estimate import estimate_weight_bytes
from engines.plan.hub_cache import hub_cache_checkpoints, hub_cache_folder, looks_like_hub_id
from engines.worker import protocol
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

    Args:
        log_path: where the build's worker logs.
        start: how a worker for a backend is started.
    """
    started = time.monotonic()
    try:
        process = await start(spec.backend, log_path)
    except OSError as error:
        yield protocol.Error(0, "no-worker", f"The worker cannot be started: {error}.", "Check the settings.")
        return
    try:
        async for step in _steps(spec, store, process, started):
            yield step
    except EngineError as error:
        yield protocol.Error(0, error.code, error.message, error.hint)
    except OSError as error:
        yield protocol.Error(
            0,
            "disk",
            f"The engine store cannot be written: {error}.",
            f"Look at {store.root}, then try again.",
        )
    finally:
        # Nothing of a build worker is worth waiting for: its results are files.
        await asyncio.shield(process.kill())


async def _steps(
    spec: EngineSpec, store: EngineStore, process: EngineProcess, started: float
) -> AsyncGenerator[Step, None]:
    folder = local_folder(spec)
    if folder is None:
        async for event in process.run(protocol.Fetch(process.next_id(), spec.checkpoint, spec.revision)):
            if isinstance(event, protocol.Fetched):
                folder = Path(event.folder)
            else:
                yield event
        if folder is None:
            return
    checkpoint = await asyncio.to_thread(read_checkpoint, folder)
    spec = replace(spec, checkpoint=str(folder))
    described = await process.ask(protocol.Describe(process.next_id()))
    if not isinstance(described, protocol.Described):
        yield described
        return
    if not described.available:
        raise EngineError("backend-not-installed", described.reason, described.hint)
    if not BACKENDS[spec.backend].builds:
        yield PreparedEngine(spec, checkpoint, None, False, time.monotonic() - started)
        return
    inputs = fingerprint_inputs(spec, checkpoint.identity, described.versions)
    async for step in _find_or_build(spec, checkpoint, inputs, store, process, started):
        yield step


async def _find_or_build(
    spec: EngineSpec,
    checkpoint: Checkpoint,
    inputs: dict[str, str],
    store: EngineStore,
    process: EngineProcess,
    started: float,
) -> AsyncGenerator[Step, None]:
    waiting = False
    while True:
        if stored := store.find(inputs):
            yield protocol.Log(0, f"reused from the store: {stored.fingerprint}, nothing to build")
            yield PreparedEngine(spec, checkpoint, stored, True, time.monotonic() - started)
            return
        with store.lock(inputs) as ours:
            if ours:
                if reason := store.why_not_reused(inputs):
                    yield protocol.Log(0, f"built anew, because {reason}")
                check_space(store.root, estimate_weight_bytes(checkpoint, spec.precision))
                async for step in _build(spec, checkpoint, inputs, store, process, started):
                    yield step
                return
        if not waiting:
            waiting = True
            yield protocol.Log(0, "another trt-playground is building this engine; waiting for it")
        await asyncio.sleep(LOCK_SECONDS)


async def _build(
    spec: EngineSpec,
    checkpoint: Checkpoint,
    inputs: dict[str, str],
    store: EngineStore,
    process: EngineProcess,
    started: float,
) -> AsyncGenerator[Step, None]:
    with store.building(inputs) as folder:
        building = time.monotonic()
        async for event in process.run(protocol.Prepare(process.next_id(), spec.to_json(), str(folder))):
            if not isinstance(event, protocol.Prepared):
                yield event
                continue
            seconds = time.monotonic() - building
            stored = store.move_in(folder, spec, inputs, event.facts, seconds)
            yield protocol.Log(
                0, f"built in {seconds:.1f} s, {stored.size / 1e6:,.1f} MB: {stored.fingerprint}"
            )
            yield PreparedEngine(spec, checkpoint, stored, False, time.monotonic() - started)


def local_folder(spec: EngineSpec) -> Path | None:
    """The checkpoint's folder on this disk: given as such, or found in the hub cache; None to fetch it.

    Raises:
        EngineError: it is neither a folder nor a hub id.
    """
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

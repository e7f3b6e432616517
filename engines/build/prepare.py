"""Prepare an engine: fetch the checkpoint, look in the store, and build what is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.registry import BACKENDS
from engines.build.off_loop import in_thread, off_loop
from engines.build.options import resolve_options
from engines.build.server import answered, contact_words
from engines.build.spec import EngineSpec, fingerprint, fingerprint_inputs, versions_of
from engines.build.store import EngineStore, check_space
from engines.build.stored_engine import StoredEngine
from engines.build.support_check import refuse_other_backends, refuse_unsupported
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.gguf_checkpoint import gguf_path
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder, looks_like_hub_id
from engines.plan.estimate.estimate import estimate_weight_bytes
from engines.plan.random_shape import PREFIX, random_seed, shape_folder
from engines.worker import protocol
from engines.worker.error_mapping import DISK_FULL_HINT, is_disk_full
from engines.worker.process import EngineProcess
from engines.worker.request import Answer, request

StartWorker = Callable[[str, Path], Awaitable[EngineProcess]]
"""Starts a worker: name of the backend and log file. Some backends need another interpreter."""
LOCK_SECONDS = 0.5
"""How often the store is checked while another app builds the same engine."""


@dataclass(frozen=True)
class PreparedEngine:
    """An engine that can be loaded."""

    spec: EngineSpec
    """With the checkpoint as a folder on this disk."""
    checkpoint: Checkpoint | None
    """None for an engine on a server."""
    stored: StoredEngine | None
    """None for backends that build nothing, and for GGUF files."""
    inputs: dict[str, str]
    """What the engine is made from, and the versions, also where nothing is built."""
    reused: bool
    seconds: float
    """From the request to here."""
    loaded: bool = False
    """Whether the worker has built it and kept it loaded."""

    @property
    def fingerprint(self) -> str:
        """Of `inputs`; that of the stored engine where there is one."""
        return fingerprint(self.inputs)

    @property
    def digest(self) -> str:
        """The fingerprint with the KV precision, which is chosen when an engine is loaded."""
        return f"{self.fingerprint} {self.spec.kv_precision}"

    @property
    def versions(self) -> dict[str, str]:
        """Library to version."""
        return versions_of(self.inputs)

    @property
    def directory(self) -> str:
        """What the Load command takes; empty for backends that build nothing."""
        return str(self.stored.directory) if self.stored else ""


Step = protocol.Event | PreparedEngine
"""Stage, Progress and Log events while an engine is prepared, then the PreparedEngine."""
OnStep = Callable[[Step], None]


async def prepare(
    spec: EngineSpec, store: EngineStore, process: EngineProcess, on_step: OnStep
) -> PreparedEngine:
    """Fetch, find or build the engine of `spec`. Cancelling leaves nothing in the store.

    Args:
        process: a worker of the spec's backend. Afterwards it can load the engine; if it built the engine, it
            has it loaded (`PreparedEngine.loaded`) or has ended, see `BackendEntry.hands_over`.
        on_step: called with each step, the PreparedEngine last.

    Raises:
        EngineError: what went wrong and what to do, the worker's own errors included.
    """
    try:
        prepared = await _Preparation(spec, store, process, on_step).run()
    except OSError as error:
        raise _disk_error(error, store) from error
    on_step(prepared)
    return prepared


class _Preparation:
    def __init__(self, spec: EngineSpec, store: EngineStore, process: EngineProcess, on_step: OnStep) -> None:
        self._spec = spec
        self._store = store
        self._process = process
        self._on_step = on_step
        self._started = time.monotonic()

    async def run(self) -> PreparedEngine:
        if BACKENDS[self._spec.backend].remote:
            return await self._contact()
        folder = await asyncio.to_thread(local_folder, self._spec)
        if folder is not None:
            self._spec = replace(self._spec, checkpoint=str(folder))
        await asyncio.to_thread(refuse_unsupported, self._spec)
        folder = folder or await self._fetch()
        self._spec = replace(self._spec, checkpoint=str(folder))
        checkpoint = await asyncio.to_thread(
            read_checkpoint, folder, trust_remote_code=self._spec.trust_remote_code
        )
        await asyncio.to_thread(refuse_other_backends, self._spec, checkpoint)
        self._spec, contents = await asyncio.to_thread(resolve_options, self._spec, checkpoint)
        described = await self._ask(protocol.Describe(self._process.next_id()), protocol.Described)
        if not described.available:
            raise EngineError("backend-not-installed", described.reason, described.hint)
        inputs = fingerprint_inputs(self._spec, checkpoint.identity, described.versions, contents)
        if checkpoint.gguf_precision or not BACKENDS[self._spec.backend].builds:
            return self._prepared(checkpoint, None, inputs, reused=False)
        if random_seed(folder) is not None and not BACKENDS[self._spec.backend].runs_shapes:
            raise _no_weights(self._spec)
        return await self._find_or_build(checkpoint, inputs)

    async def _contact(self) -> PreparedEngine:
        """Ask a server what it is; there is nothing to fetch and nothing to build."""
        described = await self._ask(protocol.Describe(self._process.next_id()), protocol.Described)
        command = protocol.Contact(self._process.next_id(), self._spec.to_json())
        server = (await self._ask(command, protocol.Contacted)).server
        self._spec = answered(self._spec, server.kind, server.model, server.precision)
        self._log(contact_words(server))
        reported = {"server": server.kind, "model": server.model, "precision": server.precision}
        versions = described.versions | ({server.kind: server.version} if server.version else {})
        inputs = fingerprint_inputs(self._spec, {"address": server.address, **reported}, versions)
        return self._prepared(None, None, inputs, reused=False)

    async def _ask(self, command: protocol.Command, answer: type[Answer]) -> Answer:
        """Send a command to the worker and report its events; return the last one.

        Raises:
            EngineError: the worker answered with an Error event.
        """
        return await request(self._process, command, answer, self._on_step)

    async def _fetch(self) -> Path:
        command = protocol.Fetch(self._process.next_id(), self._spec.checkpoint, self._spec.revision)
        return Path((await self._ask(command, protocol.Fetched)).folder)

    def _prepared(
        self,
        checkpoint: Checkpoint | None,
        stored: StoredEngine | None,
        inputs: dict[str, str],
        *,
        reused: bool,
        loaded: bool = False,
    ) -> PreparedEngine:
        seconds = time.monotonic() - self._started
        return PreparedEngine(self._spec, checkpoint, stored, inputs, reused, seconds, loaded)

    async def _find_or_build(self, checkpoint: Checkpoint, inputs: dict[str, str]) -> PreparedEngine:
        waiting = False
        while not (stored := await in_thread(self._store.find, inputs)):
            async with off_loop(self._store.lock(inputs)) as ours:
                # Looked up again: another app may have finished between the look-up and the lock.
                if ours and not await in_thread(self._store.find, inputs):
                    return await self._build(checkpoint, inputs)
            if not ours and not waiting:
                waiting = True
                self._log("another trt-playground is building this engine; waiting for it")
            if not ours:
                await asyncio.sleep(LOCK_SECONDS)
        self._log(f"cache hit: {stored.fingerprint}, no build needed")
        return self._prepared(checkpoint, stored, inputs, reused=True)

    async def _build(self, checkpoint: Checkpoint, inputs: dict[str, str]) -> PreparedEngine:
        if reason := await in_thread(self._store.why_not_reused, self._spec, inputs):
            self._log(f"rebuilding, because {reason}")
        needed = estimate_weight_bytes(checkpoint, self._spec.precision)
        await in_thread(check_space, self._store.root, needed)
        begun = time.monotonic()
        async with off_loop(self._store.building(inputs)) as folder:
            prepared = await self._run_build(folder)
            seconds = time.monotonic() - begun
            stored = await in_thread(self._store.commit, folder, self._spec, inputs, prepared.facts, seconds)
        self._log(f"built in {seconds:.1f} s, {stored.size / 1e6:,.1f} MB: {stored.fingerprint}")
        return self._prepared(checkpoint, stored, inputs, reused=False, loaded=prepared.loaded)

    async def _run_build(self, folder: Path) -> protocol.Prepared:
        command = protocol.Prepare(self._process.next_id(), self._spec.to_json(), str(folder))
        keeps = False
        try:
            prepared = await self._ask(command, protocol.Prepared)
            keeps = prepared.loaded
            return prepared
        finally:
            # It must not write into its folder while that is being removed. One that has loaded the engine
            # writes no more, and what it has mapped into memory stays valid when the folder is renamed.
            if not keeps:
                await asyncio.shield(self._process.kill())

    def _log(self, line: str) -> None:
        self._on_step(protocol.Log(0, line))


def _no_weights(spec: EngineSpec) -> EngineError:
    return EngineError(
        "random-weights",
        f"{BACKENDS[spec.backend].title} builds from a checkpoint's files, and a shape has none.",
        "Random weights are made on the device, by the PyTorch backends only.",
    )


def _disk_error(error: OSError, store: EngineStore) -> EngineError:
    if is_disk_full(error):
        return EngineError("disk-full", "The disk is full.", DISK_FULL_HINT, str(error))
    message = f"The engine store cannot be written: {error}."
    return EngineError("disk", message, f"Check {store.root}, then try again.")


def local_folder(spec: EngineSpec) -> Path | None:
    """Return the checkpoint's folder, as given or in the hub cache; None when it must be fetched.

    Of a GGUF model it is the file, the first one of several parts.

    Raises:
        EngineError: it is neither a folder, a file nor a hub id.
    """
    if spec.checkpoint.startswith(PREFIX):
        return shape_folder(spec.checkpoint)
    # OSError: a name that is too long; RuntimeError: the home folder of an unknown user.
    with suppress(OSError, RuntimeError):
        path = gguf_path(Path(spec.checkpoint).expanduser())
        if path.is_dir():
            return path.resolve()
        if path.is_file():  # the name of a GGUF file counts, and links in the hub cache lead to digests
            return path.parent.resolve() / path.name
    if not looks_like_hub_id(spec.checkpoint):
        raise EngineError(
            "no-checkpoint",
            f"There is no folder {spec.checkpoint!r}.",
            "Give a folder with config.json and safetensors, a GGUF file, or a hub id such as org/name.",
        )
    for cached in hub_cache_checkpoints(hub_cache_folder()):
        wanted = cached.revision == spec.revision if spec.revision else cached.is_main
        if cached.hub_id == spec.checkpoint and wanted:
            return cached.folder
    return None

"""Write the files that start a server with an engine of the playground into a new folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from engines.backends.registry import BACKENDS, titles_with
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from engines.deploy.served import MODELS, ServedEngine, ServerFiles, ServerSize
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.folder_files import refuse_undecodable
from engines.plan.checkpoint.view import write_view

MOST_REQUESTS, MOST_GPUS = 4096, 1024


def served_engine(spec: EngineSpec, store: EngineStore, size: ServerSize) -> ServedEngine:
    """Return the engine with what was prepared of it. Blocking: it reads the checkpoint and the store.

    Raises:
        EngineError: no server runs its engines, the checkpoint is not here, or the GPUs do not fit it.
    """
    entry = BACKENDS[spec.backend]
    if not entry.servers:
        hint = f"{titles_with('servers')} engines can be exported."
        raise EngineError("no-server", f"There is no server for engines of {entry.title}.", hint)
    if (folder := local_folder(spec)) is None:
        raise EngineError("no-checkpoint", f"{spec.checkpoint} is not on this disk.", "Download it first.")
    refuse_undecodable(str(folder))
    checkpoint = read_checkpoint(folder, trust_remote_code=spec.trust_remote_code)
    heads, layers, limit = checkpoint.kv_heads, checkpoint.shape.layers, checkpoint.max_positions
    if not (1 <= size.requests <= MOST_REQUESTS and 1 <= size.gpus <= MOST_GPUS):
        words = f"A server has 1 to {MOST_REQUESTS:,} requests at once and 1 to {MOST_GPUS:,} GPUs."
        raise EngineError("bad-size", words)
    if heads % size.tensor_parallel or size.pipeline_parallel > layers:
        words = f"The {heads} KV heads and {layers} layers cannot be divided evenly among these GPUs."
        hint = f"Choose a tensor parallel size that divides {heads}, and at most {layers} pipeline stages."
        raise EngineError("uneven-split", words, hint)
    stored = _newest(store, spec, folder)
    context = min(spec.context, limit or spec.context)
    return ServedEngine(spec, checkpoint, stored.directory if stored else None, size, context)


def _newest(store: EngineStore, spec: EngineSpec, folder: Path) -> StoredEngine | None:
    """Return the engine that was built last for this checkpoint, backend and precision."""
    found = [
        entry
        for entry in store.engines()
        if (entry.spec.backend, entry.spec.precision) == (spec.backend, spec.precision)
        and Path(entry.spec.checkpoint) == folder
    ]
    return max(found, key=lambda entry: entry.manifest.built_at, default=None)


def export_server(engine: ServedEngine, folder: Path) -> Sequence[str]:
    """Write the files and return their names. A folder that this fails to write is deleted.

    Raises:
        EngineError: no server runs this engine, or a name cannot be written.
        FileExistsError: the folder exists.
        OSError: it cannot be written.
    """
    module, _, function = BACKENDS[engine.spec.backend].servers.partition(":")
    files: ServerFiles = getattr(import_module(module), function)(engine)
    folder.mkdir(parents=True)
    try:
        model = folder / MODELS / engine.name
        model.mkdir(parents=True)
        write_view(files.model, model, files.dtype, trust_remote_code=engine.spec.trust_remote_code)
        for name, text in files.texts.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            if name.endswith(".sh"):
                file.chmod(0o755)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return sorted(files.texts)

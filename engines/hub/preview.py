"""Read the facts of a model on the hub without its weights: a few files, and the safetensors headers."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from engines.errors import EngineError
from engines.hub.bounded_get import get_range
from engines.hub.download import refuse_no_safetensors
from engines.hub.failures import unknown_checkpoint
from engines.hub.kept_preview import Part, PreviewStore
from engines.hub.listing import HubFile, Listing, read_listing
from engines.plan.checkpoint.chat_template import JSON_FILES
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES, parse_json, size_limit
from engines.plan.checkpoint.model_card import MAX_CARD_BYTES
from engines.plan.checkpoint.tensors import INDEX, WHOLE

CONFIGURATIONS = ("config.json", "generation_config.json", "hf_quant_config.json", *JSON_FILES)
"""Files that are read completely."""
CARD = "README.md"
FIRST_BYTES = 1 << 15
"""Of a safetensors file: the header of a small model fits, and that of a larger one says its length."""
MAX_HEADER_BYTES = 25_000_000
"""As in huggingface_hub. The header of a shard of the largest models has some 100 kB."""
MAX_SHARDS = 1_000
CONNECTIONS = 8


def read_remote(hub_id: str, revision: str | None = None, *, folder: Path) -> Checkpoint:
    """Return the facts of a model on the hub, as `read_checkpoint` returns them after a download.

    Its `folder` holds no checkpoint: only a download makes one. Without a network, the commit that was read
    last is read again.

    Args:
        folder: keeps what was read; of this function alone.

    Raises:
        EngineError: as `read_checkpoint`; `gated`, `unknown-checkpoint`, `unsupported-checkpoint`,
            `no-network` or `hub-error`; `disk`: `folder` cannot be written.
    """
    if not looks_like_hub_id(hub_id):
        raise unknown_checkpoint(hub_id)
    store = PreviewStore(folder, hub_id)
    try:
        return _read(store, hub_id, revision)
    except OSError as error:
        message = f"The preview of {hub_id} cannot be kept in {folder}: {error.strerror or error}."
        raise EngineError("disk", message, "Check the free space and the permissions.") from error


def _read(store: PreviewStore, hub_id: str, revision: str | None) -> Checkpoint:
    try:
        listing = read_listing(hub_id, revision)
    except EngineError as error:
        commit = store.commit(revision)
        if error.code not in ("no-network", "hub-error") or commit is None:
            raise
        return store.read(commit)
    if not store.has(listing.commit):
        store.keep(listing, _parts(listing))
    store.set_commit(revision, listing.commit)
    return store.read(listing.commit)


def _parts(listing: Listing) -> list[Part]:
    """Fetch what `read_checkpoint` reads of the model's files."""
    refuse_no_safetensors(listing)
    files = {file.name: file for file in listing.files}
    small = [files[name] for name in (*CONFIGURATIONS, INDEX, CARD) if name in files]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        parts = list(threads.map(lambda file: (file.name, _small_file(listing, file)), small))
        weights = _weights(files, dict(parts).get(INDEX))
        parts += threads.map(lambda file: (file.name, _header(listing, file)), weights)
    return parts


def _small_file(listing: Listing, file: HubFile) -> bytes:
    limit = MAX_CARD_BYTES if file.name == CARD else size_limit(file.name) or MAX_CONFIG_BYTES
    if file.size > limit and file.name != CARD:
        raise _broken(file, f"it has {file.size:,} bytes, and at most {limit:,} are read")
    return get_range(listing.hub_id, listing.commit, file.name, 0, min(file.size, limit))


def _weights(files: Mapping[str, HubFile], index: bytes | None) -> list[HubFile]:
    """Return the safetensors files that make up the checkpoint: the whole one, else those of the index."""
    if WHOLE in files:
        return [files[WHOLE]]
    found = [file for name, file in files.items() if name.endswith(".safetensors")]
    if index is not None:
        with suppress(ValueError, RecursionError, AttributeError, TypeError):  # read_checkpoint says it
            named = set(parse_json(index)["weight_map"].values())  # type: ignore[index]
            found = [file for file in found if file.name in named]
    if len(found) > MAX_SHARDS:
        raise _broken(found[0], f"it is one of {len(found):,} shards, and at most {MAX_SHARDS:,} are read")
    return found


def _header(listing: Listing, file: HubFile) -> bytes:
    """Return the header of a safetensors file, with the eight bytes of its length."""

    def get(start: int, stop: int) -> bytes:
        return get_range(listing.hub_id, listing.commit, file.name, start, min(stop, file.size))

    data = get(0, FIRST_BYTES)
    end = 8 + int.from_bytes(data[:8], "little")
    if end > min(file.size, MAX_HEADER_BYTES):
        raise _broken(file, f"its header claims {end:,} bytes and the file has {file.size:,}")
    return data[:end] if end <= len(data) else data + get(len(data), end)


def _broken(file: HubFile, why: str) -> EngineError:
    return EngineError("broken-weights", f"{file.name} cannot be used: {why}.", "Choose another model.")

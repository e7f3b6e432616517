"""Download checkpoints from the Hugging Face Hub."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from engines.hub.blob_download import download_blob
from engines.hub.cache_state import CacheState, refuse_full_disk
from engines.hub.download import refuse_no_safetensors
from engines.hub.failures import explained
from engines.hub.listing import MAX_HTTP_BYTES, HubFile, Listing, read_listing
from engines.hub.unfinished import remove_parts
from engines.plan.checkpoint.loadable import CONFIGURATIONS, refuse_unloadable

if TYPE_CHECKING:
    from engines.backends.base import Report


def fetch(checkpoint: str, revision: str | None, report: Report, backend: str) -> Path:
    """Download the missing files of `org/name` into the hub cache.

    The configuration is downloaded first: a checkpoint that `backend` cannot load is refused before any
    weights are downloaded. A download that was killed continues; the progress counts what is on this disk.

    Returns:
        The folder of the snapshot.

    Raises:
        EngineError: `unknown-checkpoint`, `gated`, `no-network`, `hub-error`, `disk-full`, `checksum`, or the
            checkpoint cannot be loaded by `backend`.
        OSError: The disk is full, or another error that is not one of the network.
    """
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    listing = read_listing(checkpoint, revision)
    refuse_no_safetensors(listing)
    with explained(checkpoint, revision):
        configuration = huggingface_hub.snapshot_download(
            checkpoint, revision=revision, allow_patterns=CONFIGURATIONS
        )
        refuse_unloadable(backend, Path(configuration))
        cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
        _download_files(listing, cache, report)
        # Parts of an older commit: no download continues them.
        remove_parts(checkpoint, cache, keep=[file.digest for file in listing.files])
        return _link_files(listing, revision, CacheState(cache, listing))


def _link_files(listing: Listing, revision: str | None, state: CacheState) -> Path:
    """Return the snapshot: huggingface_hub finds the downloaded files and adds links and refs."""
    import huggingface_hub

    if not all(map(state.is_linked, listing.files)):
        state.unfinished.touch()
    folder = huggingface_hub.snapshot_download(
        listing.hub_id, revision=revision, allow_patterns=[glob.escape(file.name) for file in listing.files]
    )
    state.unfinished.unlink(missing_ok=True)
    return Path(folder)


def _download_files(listing: Listing, cache: Path, report: Report) -> None:
    """Download what is missing of all files, the small ones first, and report the bytes on this disk."""
    state = CacheState(cache, listing)
    here = {file.name: state.bytes_here(file) for file in listing.files}
    total = sum(file.size for file in listing.files)
    refuse_full_disk(cache, total - sum(here.values()))
    report.progress(float(sum(here.values())), float(total), "bytes")

    def download(file: HubFile) -> None:
        def on_bytes(size: int) -> None:
            here[file.name] = size
            report.progress(float(sum(here.values())), float(total), "bytes")

        download_blob(listing, file, state, on_bytes)

    for file in sorted(listing.files, key=lambda one: one.size):
        if file.size > MAX_HTTP_BYTES:
            report.log(f"{file.name} is downloaded by huggingface_hub, which does not report its progress")
        elif not state.is_complete(file):
            download(file)

"""What a download needs, and whether it fits. A worker runs it: `engines/worker/fetch.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.hub.bounded_get import get_range
from engines.hub.cache_state import CacheState, refuse_full_disk
from engines.hub.failures import gated
from engines.hub.listing import HubFile, Listing, read_listing
from engines.plan.checkpoint.hub_cache import hub_cache_folder
from engines.plan.checkpoint.loadable import refuse_without_weights


@dataclass(frozen=True)
class Download:
    """The download of one model at one commit."""

    hub_id: str
    revision: str
    """Commit hash, 40 hex digits."""
    files: tuple[HubFile, ...]
    total: int
    """Bytes of all files."""
    here: int
    """Bytes of complete files, and of parts that an earlier download left, on this disk."""
    licence: str
    gated: bool
    """Whether its authors required you to accept their terms; you did."""
    free: int
    """Bytes free on the disk of the hub cache."""
    cache: Path
    """The hub cache."""

    @property
    def missing(self) -> int:
        """Bytes that are still to be downloaded."""
        return self.total - self.here


def plan_download(hub_id: str, revision: str | None = None) -> Download:
    """Return what a download of `hub_id` needs.

    Raises:
        EngineError: `gated`: the terms were not accepted; `disk-full`; `unsupported-checkpoint` or
            `missing-weights`: it has no safetensors; `unknown-checkpoint`, `no-network` or `hub-error`.
    """
    listing = read_listing(hub_id, revision)
    refuse_no_safetensors(listing)
    if listing.gated:
        _refuse_gated(listing)
    cache = hub_cache_folder()
    state = CacheState(cache, listing)
    total = sum(file.size for file in listing.files)
    here = sum(state.bytes_here(file) for file in listing.files)
    free = refuse_full_disk(cache, total - here)
    return Download(
        hub_id, listing.commit, listing.files, total, here, listing.licence, listing.gated, free, cache
    )


def refuse_no_safetensors(listing: Listing) -> None:
    """Check that there are weights to download.

    Raises:
        EngineError: there are none (`unsupported-checkpoint`, `missing-weights`).
    """
    refuse_without_weights(listing.hub_id, listing.names)
    if not any(file.name.endswith(".safetensors") for file in listing.files):
        raise EngineError(
            "missing-weights",
            f"{listing.hub_id} holds no .safetensors file.",
            "Pickled weights (.bin, .pt) are not loaded: choose a model with safetensors.",
        )


def _refuse_gated(listing: Listing) -> None:
    """Check that the terms of a gated model were accepted, by one byte of its weights.

    Raises:
        EngineError: they were not (`gated`), or the hub cannot be asked.
    """
    weights = next(file for file in listing.files if file.name.endswith(".safetensors"))
    try:
        get_range(listing.hub_id, listing.commit, weights.name, 0, 1)
    except EngineError as error:
        if error.code == "unknown-checkpoint":  # it is listed, so what is missing are the rights
            raise gated(listing.hub_id) from error
        raise

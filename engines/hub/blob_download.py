"""Download one file of the hub into the hub cache so that a killed download continues where it ended.

huggingface_hub 2 gives each download a part with a random name, which nobody continues once its process is
gone, and hf_xet writes a file in no particular order, so that its size says nothing about what is missing.
Therefore the files are read here by plain HTTP, which the hub offers for each of them, through the session of
huggingface_hub: HF_HUB_DISABLE_XET does not matter. The finished file gets the name under which
huggingface_hub finds it; links and refs remain its work.

Standard library and huggingface_hub only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from engines.errors import EngineError
from engines.hub.cache_state import CacheState
from engines.hub.failures import engine_error
from engines.hub.listing import HubFile, Listing
from engines.hub.stream import file_path, open_stream

ATTEMPTS = 5
"""Requests in a row that may end without a byte."""
RETRY_SECONDS = 1.0
LOCK_SECONDS = 1.0
"""How often the size of a file is looked up while another process downloads it."""
_CHUNK = 1 << 16

OnBytes = Callable[[int], None]
"""Called with the bytes of the file that are on this disk."""


def download_blob(listing: Listing, file: HubFile, state: CacheState, on_bytes: OnBytes) -> None:
    """Download what is missing of `file` and check its digest; returns once it is in the cache.

    Raises:
        EngineError: `checksum`; `gated`, `no-network` or another of `failures`.
        OSError: the disk is full, or the cache cannot be written.
    """
    state.blobs.mkdir(parents=True, exist_ok=True)
    state.locks.mkdir(parents=True, exist_ok=True)
    with _locked(state.lock(file), lambda: on_bytes(state.bytes_here(file))):
        if not state.is_complete(file):
            part = state.part(file)
            _Part(part, file, on_bytes).complete(listing)
            part.replace(state.blob(file))
    on_bytes(file.size)


class _Part:
    """The first bytes of a file, and their digest."""

    def __init__(self, path: Path, file: HubFile, on_bytes: OnBytes) -> None:
        self._path, self._file, self._on_bytes = path, file, on_bytes
        self._size = 0
        self._digest = _new_digest(file)

    def complete(self, listing: Listing) -> None:
        """Append the missing bytes; returns once the digest is right."""
        # Unbuffered: what was received is in the file when the process is killed.
        with self._path.open("ab+", buffering=0) as out:
            self._read_existing(out)
            self._append_missing(listing, out)
        if self._digest.hexdigest() != self._file.digest:
            self._path.unlink()
            raise _wrong_checksum(listing.hub_id, self._file)

    def _read_existing(self, out: BinaryIO) -> None:
        out.seek(0)
        while data := out.read(_CHUNK):
            self._digest.update(data)
            self._size += len(data)
        if self._size > self._file.size:
            self._start_again(out)
        self._on_bytes(self._size)

    def _append_missing(self, listing: Listing, out: BinaryIO) -> None:
        failures = 0
        while self._size < self._file.size:
            before, failure = self._size, None
            try:
                self._request(listing, out)
            except Exception as error:
                failure = _transient(error, listing.hub_id, self._file)
            failures = 0 if self._size > before else failures + 1
            if failures >= ATTEMPTS:
                raise failure or _cut_off(listing.hub_id, self._file)
            if self._size < self._file.size:
                time.sleep(RETRY_SECONDS)

    def _request(self, listing: Listing, out: BinaryIO) -> None:
        """Append the bytes of one request, which may end early."""
        from huggingface_hub import constants

        path = file_path(listing.hub_id, listing.commit, self._file.name)
        with open_stream(path, constants.HF_HUB_DOWNLOAD_TIMEOUT, byte_range=f"{self._size}-") as response:
            if not response.is_range:
                self._start_again(out)
            for chunk in response.chunks:
                wanted = chunk[: self._file.size - self._size]
                if not wanted:
                    break
                _write(out, wanted)
                self._digest.update(wanted)
                self._size += len(wanted)
                self._on_bytes(self._size)

    def _start_again(self, out: BinaryIO) -> None:
        out.truncate(0)
        self._size, self._digest = 0, _new_digest(self._file)


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold huggingface_hub's lock of a file; `waiting` is called while another process holds it."""
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(path, timeout=LOCK_SECONDS))
                break
            except Timeout:
                waiting()
        yield


def _new_digest(file: HubFile) -> Any:
    if len(file.digest) == 64:
        return hashlib.sha256()
    # usedforsecurity: git's own name of a blob, also where SHA-1 is switched off for security
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _write(out: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:  # an unbuffered write may take a part only
        view = view[out.write(view) :]


def _transient(error: Exception, hub_id: str, file: HubFile) -> EngineError:
    """Return the error to raise if no further request succeeds; raises an error that a retry cannot help."""
    found = engine_error(error, hub_id)
    if found is None:
        raise error
    status = getattr(getattr(error, "response", None), "status_code", 503)
    if status < 500 and status not in (408, 429):
        raise found from error
    if found.code == "no-network":
        found = _cut_off(hub_id, file)
    found.__cause__ = error
    return found


def _cut_off(hub_id: str, file: HubFile) -> EngineError:
    return EngineError(
        "no-network", f"The download of {file.name} of {hub_id} ended early.", "Start it again: it continues."
    )


def _wrong_checksum(hub_id: str, file: HubFile) -> EngineError:
    return EngineError(
        "checksum",
        f"{file.name} of {hub_id} arrived damaged: its checksum is not the one that the hub names.",
        "It was removed. Download it again; if it fails again, a proxy or the disk changes the bytes.",
    )

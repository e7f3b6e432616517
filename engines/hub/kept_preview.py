"""Keep what a preview has read, by commit, and read it as a checkpoint.

The kept files are parts of files, under names that no loader looks for: nothing in the folder can be taken
for a checkpoint. To read them, a checkpoint of sparse files is made for a moment, so that all checks of a
downloaded checkpoint are made.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from engines.errors import EngineError
from engines.hub.listing import Listing
from engines.plan.checkpoint.chat_template import FILE
from engines.plan.checkpoint.checkpoint import TOKENIZER_FILES, Checkpoint, read_checkpoint
from engines.plan.checkpoint.folder_files import TEMPLATES
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES
from engines.regular_file import read_regular

MARKERS = (*TOKENIZER_FILES, "adapter_config.json")
"""Files of which only the presence matters."""
SPARSE = (".safetensors", ".jinja")
"""Endings of files of which the size matters too: a template that is empty is none."""
MAX_PREVIEWS = 200
"""Models that are kept; the ones that were read longest ago go first."""
SIZES = "sizes.json"
PART = ".part"
TEMPORARY = "temporary-"
STALE_SECONDS = 3600.0
"""Age of a temporary folder that a killed app has left."""
_COMMIT = re.compile(r"[0-9a-f]{40}")

Part = tuple[str, bytes]
"""Name of a file, and its first bytes."""


class PreviewStore:
    """The kept previews of one model.

    Args:
        folder: of all previews.
        hub_id: a valid one.
    """

    def __init__(self, folder: Path, hub_id: str) -> None:
        self._folder = folder.absolute()
        self._model = self._folder / hub_id.replace("/", "--")
        self._hub_id = hub_id

    def has(self, commit: str) -> bool:
        """Return whether the preview of a commit is kept."""
        return (self._model / commit / SIZES).is_file()

    def commit(self, revision: str | None) -> str | None:
        """Return the commit that a branch or tag had when it was read last; None if it is not kept."""
        with suppress(OSError, UnicodeDecodeError):
            commit = read_regular(self._reference(revision), 40).decode("ascii")
            if _COMMIT.fullmatch(commit) and self.has(commit):
                return commit
        return None

    def set_commit(self, revision: str | None, commit: str) -> None:
        """Keep the commit of a branch or tag."""
        with tempfile.TemporaryDirectory(dir=self._model, prefix=TEMPORARY) as name:
            file = Path(name) / "reference"
            file.write_text(commit, "ascii")
            file.replace(self._reference(revision))

    def keep(self, listing: Listing, parts: Sequence[Part]) -> None:
        """Write what was fetched of a commit, with one rename."""
        self._model.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._model, prefix=TEMPORARY) as name:
            content = Path(name) / "content"
            content.mkdir()
            for file_name, data in parts:
                (content / f"{file_name}{PART}").write_bytes(data)
            sizes = {file.name: file.size for file in listing.files}
            (content / SIZES).write_text(json.dumps(sizes), "utf-8")
            try:
                content.rename(self._model / listing.commit)
            except OSError:
                if not self.has(listing.commit):  # else another app was faster
                    raise
        _remove_old(self._folder)

    def read(self, commit: str) -> Checkpoint:
        """Return the facts in the preview of a commit.

        Raises:
            EngineError: as `read_checkpoint`; `hub-error`: what was kept is damaged, and removed.
        """
        kept = self._model / commit
        with tempfile.TemporaryDirectory(dir=self._model, prefix=TEMPORARY) as name:
            skeleton = Path(name)
            _make_sparse(skeleton, kept)
            try:
                found = read_checkpoint(skeleton)
            except EngineError as error:
                message = error.message.replace(str(skeleton), self._hub_id).replace(
                    skeleton.name, self._hub_id
                )
                raise EngineError(error.code, message, error.hint, error.detail) from error
        lasting = {key: text for key, text in found.identity.items() if not key.startswith("change of ")}
        identity = lasting | {"hub id": self._hub_id, "hub revision": commit}
        with suppress(OSError):
            os.utime(self._model)  # the time for _remove_old
        return replace(found, name=self._hub_id, folder=kept, identity=identity)

    def _reference(self, revision: str | None) -> Path:
        return self._model / f"{quote(revision or 'main', safe='')[:200]}.ref"


def _make_sparse(skeleton: Path, kept: Path) -> None:
    """Write the kept parts with the sizes of the real files, of which the rest takes no space."""
    for name, size in _sizes(kept).items():
        part = kept / f"{name}{PART}"
        if part.is_file():
            shutil.copyfile(part, skeleton / name)
        elif name in (*MARKERS, FILE):
            (skeleton / name).touch()
        elif name.startswith(f"{TEMPLATES}/"):
            (skeleton / TEMPLATES).mkdir(exist_ok=True)
            (skeleton / name).touch()
        if name.endswith(SPARSE) and (skeleton / name).is_file():
            os.truncate(skeleton / name, size)


def _sizes(kept: Path) -> dict[str, int]:
    try:
        return dict(json.loads(read_regular(kept / SIZES, MAX_CONFIG_BYTES)))
    except (OSError, ValueError, TypeError) as error:
        shutil.rmtree(kept, ignore_errors=True)  # fetched again the next time
        raise EngineError("hub-error", "The preview that was kept is damaged.", "Try again.") from error


def _remove_old(folder: Path) -> None:
    """Remove the models that exceed MAX_PREVIEWS, and what killed apps have left."""
    with suppress(OSError):
        for left in folder.glob(f"*/{TEMPORARY}*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        models = [one for one in folder.iterdir() if one.is_dir()]
        models.sort(key=lambda one: one.stat().st_mtime, reverse=True)
        for old in models[MAX_PREVIEWS:]:
            shutil.rmtree(old, ignore_errors=True)

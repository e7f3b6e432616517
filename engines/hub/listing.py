"""The files of a model on the hub, with sizes and checksums.

Standard library and huggingface_hub only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from engines.hub.failures import explained, hub_error, unknown_checkpoint
from engines.hub.models import licence_of_tags
from engines.plan.checkpoint.folder_files import TEMPLATES
from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.checkpoint.tensors import MAX_FILE_NAME

ALLOW_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
"""Weights as safetensors only: unpickling could run code."""
IGNORE_PATTERNS = ["consolidated*"]
"""Mistral's second copy of the weights."""
HUB_TIMEOUT_SECONDS = 8.0
"""Time limit of a small request to the hub."""
MAX_HTTP_BYTES = 50_000_000_000
"""The hub offers larger files through Xet only."""
MAX_FILES = 10_000
MAX_FILE_BYTES = 2**50
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """One file of a model."""

    name: str
    """Safe as a path on this disk: without a folder, or in that of the additional chat templates."""
    size: int
    """Bytes."""
    digest: str
    """In hex: SHA-256 of an LFS file, such as weights (64 digits), or the SHA-1 that git gives it (40)."""


@dataclass(frozen=True)
class Listing:
    """What the hub says about a model at one commit."""

    hub_id: str
    commit: str
    """40 hex digits."""
    gated: bool
    licence: str
    names: tuple[str, ...]
    """All files, also those that are not downloaded."""
    files: tuple[HubFile, ...]
    """The files that a download takes, where the hub gives size and digest."""


def read_listing(hub_id: str, revision: str | None = None) -> Listing:
    """Ask the hub for the files of a model, in one small request.

    Raises:
        EngineError: `unknown-checkpoint`, `gated`, `no-network` or `hub-error`.
    """
    from huggingface_hub import HfApi

    if not looks_like_hub_id(hub_id):
        raise unknown_checkpoint(hub_id)
    try:
        with explained(hub_id, revision):
            info = HfApi().model_info(
                hub_id, revision=revision, timeout=HUB_TIMEOUT_SECONDS, files_metadata=True
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise hub_error("it is not the description of a model") from error
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise hub_error("it names no commit")
    siblings = list(info.siblings or ())[:MAX_FILES]
    return Listing(
        hub_id=hub_id,
        commit=info.sha,
        gated=info.gated not in (None, False),
        licence=licence_of_tags(info.tags),
        names=tuple(str(sibling.rfilename) for sibling in siblings),
        files=tuple(_files(siblings)),
    )


def is_downloaded(name: str) -> bool:
    """Return whether a file of this name is part of a download.

    Subfolders hold other formats, but for one, from which transformers reads chat templates.
    """
    folder, _, plain = name.rpartition("/")
    if folder:
        return folder == TEMPLATES and plain.endswith(".jinja")
    allowed = any(fnmatchcase(name, pattern) for pattern in ALLOW_PATTERNS)
    return allowed and not any(fnmatchcase(name, pattern) for pattern in IGNORE_PATTERNS)


def _files(siblings: Iterable[Any]) -> list[HubFile]:
    return [file for sibling in siblings if (file := _file(sibling)) and is_downloaded(file.name)]


def _file(sibling: Any) -> HubFile | None:
    """Return the file if its name, size and digest can be used; None otherwise."""
    name, large = sibling.rfilename, sibling.lfs
    size, digest = (large.size, large.sha256) if large else (sibling.size, sibling.blob_id)
    if not (
        isinstance(name, str)
        and _is_plain_name(name.removeprefix(f"{TEMPLATES}/"))
        and isinstance(digest, str)
    ):
        return None
    if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES or not _DIGEST.fullmatch(digest):
        return None
    return HubFile(name, size, digest)


def _is_plain_name(name: str) -> bool:
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        return False
    return name.isprintable() and len(name.encode("utf-8", "replace")) <= MAX_FILE_NAME

"""A model as the double of the hub serves it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

LFS_ENDINGS = (".safetensors",)


@dataclass
class Model:
    """A model: the files of a folder, and what the hub says about it."""

    hub_id: str
    folder: Path
    gated: str = ""
    """`auto` or `manual`: files need a token."""
    licence: str = "apache-2.0"
    downloads: int = 1000
    likes: int = 10
    facts: dict[str, Any] = field(default_factory=dict)
    """Replaces fields of the description."""
    sha256: dict[str, str] = field(default_factory=dict)
    """Replaces the digest of a file, by name: a wrong checksum."""

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Content by name."""
        files = (file for file in sorted(self.folder.rglob("*")) if file.is_file())
        return {file.relative_to(self.folder).as_posix(): file.read_bytes() for file in files}

    @cached_property
    def commit(self) -> str:
        """Changes with the content."""
        digest = hashlib.sha1(self.hub_id.encode())
        for name, data in self.files.items():
            digest.update(name.encode() + hashlib.sha1(data).digest())
        return digest.hexdigest()

    def is_lfs(self, name: str) -> bool:
        """Return whether the file is kept by Git LFS."""
        return name.endswith(LFS_ENDINGS)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of an LFS file, else git's SHA-1 of the blob."""
        data = self.files[name]
        if self.is_lfs(name):
            return self.sha256.get(name) or hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def described(self) -> dict[str, Any]:
        """Return the entry of the API without files."""
        count = sum(len(data) for name, data in self.files.items() if self.is_lfs(name)) // 4
        return {
            "id": self.hub_id,
            "modelId": self.hub_id,
            "sha": self.commit,
            "private": False,
            "gated": self.gated or False,
            "downloads": self.downloads,
            "likes": self.likes,
            "pipeline_tag": "text-generation",
            "tags": ["safetensors", "text-generation", f"license:{self.licence}"],
            "safetensors": {"parameters": {"F32": count}, "total": count},
        } | self.facts

    def siblings(self) -> list[dict[str, Any]]:
        """Return the files as `model_info(files_metadata=True)` reads them."""
        return [
            {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
            | (
                {"lfs": {"sha256": self.digest(name), "size": len(data), "pointerSize": 130}}
                if self.is_lfs(name)
                else {"blobId": self.digest(name)}
            )
            for name, data in self.files.items()
        ]

    def tree(self) -> list[dict[str, Any]]:
        """Return the files as `list_repo_tree` reads them."""
        return [
            {"type": "file", "path": name, "size": len(data), "oid": self.digest(name)[:40]}
            | (
                {"lfs": {"oid": self.digest(name), "size": len(data), "pointerSize": 130}}
                if self.is_lfs(name)
                else {}
            )
            for name, data in self.files.items()
        ]

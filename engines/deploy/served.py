"""What is served, and the text of the files that start a server.

Names and paths come from checkpoints, so none of them is written into a file unquoted.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # a requirement of huggingface_hub

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint

MODELS = "model"
"""Folder of the export with the model's own folder."""
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class ServerSize:
    """How a server is sized."""

    requests: int = 32
    """Most requests in the batch; the KV cache holds a full context of each."""
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    port: int = 8000

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.tensor_parallel * self.pipeline_parallel


@dataclass(frozen=True)
class ServedEngine:
    """An engine of the playground that a server is to run."""

    spec: EngineSpec
    checkpoint: Checkpoint
    directory: Path | None
    """Its folder in the engine store; None where the checkpoint itself is served."""
    size: ServerSize
    context: int
    """Tokens of prompt and answer together, at most the model's own limit."""

    @property
    def name(self) -> str:
        """Name of the model for clients: of ASCII letters, digits, `.`, `_` and `-`."""
        return _PLAIN.sub("-", self.checkpoint.name).strip("-.")[:96] or "model"

    @property
    def title(self) -> str:
        """`demo, fp8` for people."""
        return f"{self.name}, {self.spec.precision}"


@dataclass(frozen=True)
class ServerFiles:
    """The files of an export."""

    texts: Mapping[str, str]
    """Relative path to text; scripts end with `.sh`."""
    model: Path
    """Folder with the weights that are served."""
    dtype: str = ""
    """Type that the served config.json names; empty for the checkpoint's own."""


class ShellWord(str):
    """A word of a script that the shell expands; it has no text of a checkpoint."""


def script(comment: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Return a shell script that runs a command in the script's own folder.

    Raises:
        EngineError: `unsafe-name`: a word has control characters.
    """
    for word in command:
        refuse_control_characters(word)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in (environment or {}).items()]
    lines = ["#!/bin/sh", f"# {comment}", 'cd -- "$(dirname -- "$0")" || exit 1', *exports]
    return "\n".join([*lines, f"exec {_wrapped(command)}", ""])


def _wrapped(command: Sequence[str]) -> str:
    """Return the command with each option on a line of its own."""
    text = ""
    for word in command:
        quoted = word if isinstance(word, ShellWord) else shlex.quote(word)
        text += f" \\\n    {quoted}" if word.startswith("-") else f" {quoted}"
    return text.strip()


def yaml_text(comment: str, document: Mapping[str, Any]) -> str:
    """Return a YAML document of plain data, with a comment above it."""
    body: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100)
    return "".join(f"# {line}\n" for line in comment.splitlines()) + body


def compose_value(text: str) -> str:
    """Return a value for a compose file, which would replace `$NAME` by a variable of the environment."""
    return text.replace("$", "$$")


def service(
    engine: ServedEngine, image: str, command: Sequence[str], folders: Mapping[str, str], port: int
) -> dict[str, Any]:
    """Return a service of a compose file with all GPUs that the engine needs.

    Args:
        image: may name a variable, as `${IMAGE:-default}`.
        folders: places in the container, by the path on this machine; all are read only.
        port: on which the command listens.
    """
    for path in folders:
        refuse_control_characters(path)
    gpus = {"driver": "nvidia", "count": engine.size.gpus, "capabilities": ["gpu"]}
    mounts = [
        {"type": "bind", "source": compose_value(source), "target": compose_value(target), "read_only": True}
        for source, target in folders.items()
    ]
    return {
        "image": image,
        "command": [compose_value(word) for word in command],
        "volumes": mounts,
        # The host's loopback only: none of these servers asks for a key by default.
        "ports": [{"host_ip": "127.0.0.1", "published": str(engine.size.port), "target": port}],
        "ipc": "host",
        "ulimits": {"memlock": -1, "stack": 67_108_864},
        "deploy": {"resources": {"reservations": {"devices": [gpus]}}},
    }


def weight_folders(model: Path) -> dict[str, str]:
    """Return the folders with the files of a checkpoint, each at its own path in a container.

    The links in the export are absolute; in a hub cache the files are in another folder than their names.
    """
    parents = sorted({file.resolve().parent for file in model.iterdir() if file.is_file()})
    return {str(parent): str(parent) for parent in parents}


def refuse_control_characters(text: str) -> None:
    """Refuse a name that a script or a YAML file cannot show as it is.

    Raises:
        EngineError: `unsafe-name`.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        message = f"A name has control characters, so no server is started with it: {text!a}."
        raise EngineError("unsafe-name", message, "Rename the folder.")

"""Whether a row is of the checkpoint and the libraries that are here now, found without starting a worker."""

from __future__ import annotations

from importlib import metadata

from engines.backends.registry import BACKENDS
from engines.build.rebuild_reason import changes
from engines.build.spec import CHECKPOINT, VERSION
from engines.compare.comparison import Row
from engines.plan.checkpoint.checkpoint import Checkpoint


def outdated(row: Row, checkpoint: Checkpoint | None) -> str:
    """Return what has changed since a row was measured; empty if nothing is known to have.

    Args:
        checkpoint: its current state; None if it is not on this disk.
    """
    before = {name: value for name, value in row.inputs.items() if name.startswith((CHECKPOINT, VERSION))}
    now = {
        name: _installed(row.backend, name.removeprefix(VERSION), value)
        for name, value in before.items()
        if name.startswith(VERSION)
    }
    if checkpoint is None:
        now |= {name: value for name, value in before.items() if name.startswith(CHECKPOINT)}
    elif before:
        now |= {f"{CHECKPOINT}{name}": value for name, value in checkpoint.identity.items()}
    return changes(before, now)


def _installed(backend: str, package: str, before: str) -> str:
    """Return a package's version; `before` for what is no package, or is in another environment."""
    entry = BACKENDS.get(backend)
    if entry is None or entry.own_environment:
        return before
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return before

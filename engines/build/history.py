"""The expected time of a build, from the engines in this machine's store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.build.stored_engine import StoredEngine


@dataclass(frozen=True)
class ExpectedBuild:
    """The expected time of a build, and the build that it was scaled from."""

    seconds: float
    source: StoredEngine
    builds: int
    """Number of known builds of this backend."""


def expected_build(
    entries: Sequence[StoredEngine], backend: str, precision: str, weight_bytes: int
) -> ExpectedBuild | None:
    """Return the time of the most similar build, scaled by the bytes of the weights; None without a build.

    Every build has a part that does not shrink with the model, so the result is at least the fastest build.
    """
    known = [entry for entry in entries if entry.spec.backend == backend and entry.manifest.build_seconds > 0]
    if not known:
        return None
    alike = [entry for entry in known if entry.spec.precision == precision] or known
    nearest = min(alike, key=lambda entry: abs(weights_of(entry) - weight_bytes))
    scaled = nearest.manifest.build_seconds * weight_bytes / max(1, weights_of(nearest))
    fastest = min(entry.manifest.build_seconds for entry in known)
    return ExpectedBuild(max(scaled, fastest), nearest, len(known))


def weights_of(entry: StoredEngine) -> int:
    """Return the bytes of an engine's weights; its size on disk where the backend does not report them."""
    reported = entry.manifest.facts.get("weight_bytes")
    return reported if isinstance(reported, int) and reported > 0 else entry.size

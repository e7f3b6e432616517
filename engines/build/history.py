"""Expected time of a build, from earlier builds in this machine's store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.build.stored_engine import StoredEngine


@dataclass(frozen=True)
class ExpectedBuild:
    """The expected time, and the build that it was derived from."""

    seconds: float
    source: StoredEngine
    builds: int
    """Builds of this backend that are known."""


def expected_build(
    entries: Sequence[StoredEngine], backend: str, precision: str, weight_bytes: int
) -> ExpectedBuild | None:
    """Return the time of the most similar build, scaled by the bytes written; None without any build.

    Every build has a part that does not shrink with the model, so it is never less than the fastest one.
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
    """Return the bytes of its weights; those on disk if the backend did not report them."""
    reported = entry.manifest.facts.get("weight_bytes")
    return reported if isinstance(reported, int) and reported > 0 else entry.size

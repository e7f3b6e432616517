"""Why engines could not be opened, each cause once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.state.prepare.build_state import BuildState


@dataclass(frozen=True)
class OpeningError:
    """One cause."""

    title: str
    """The model, or the engine of one side."""
    message: str
    hint: str
    log: Path | None
    """Of the first of the workers."""


def opening_errors(builds: Mapping[str, BuildState]) -> tuple[OpeningError, ...]:
    """Return the causes of the last openings, by side; sides that failed for the same reason share one."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, build in builds.items():
        if build.error:
            found.setdefault((build.error.code, build.error.message), []).append(name)
    return tuple(_cause(tuple(names), builds[names[0]]) for names in found.values())


def _cause(sides: tuple[str, ...], build: BuildState) -> OpeningError:
    assert build.error
    title = "Model" if len(sides) > 1 else f"{sides[0].capitalize()} · {build.title}"
    return OpeningError(title, build.error.message, build.error.hint, build.log)

"""A line of the list of models, and which lines a typed text leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.state.models.fit import Fit


class Section(StrEnum):
    """Parts of the list, in their order."""

    DISK = "On this disk"
    SUGGESTED = "Small models to fetch"
    HUB = "On the hub"


@dataclass(frozen=True)
class ModelEntry:
    """One model."""

    name: str
    """As the settings name it: `demo`, a folder, or a hub id."""
    title: str
    section: Section
    parameters: int | None = None
    weight_bytes: int | None = None
    built: int = 0
    """Engines of it in the store."""
    licence: str = ""
    gated: bool = False
    downloads: int = 0
    """Of the last 30 days, for models of the hub."""
    begun: int = 0
    """Bytes of a download that was paused or interrupted."""
    fit: Fit | None = None
    """None where too little is known for an estimate."""


def matching(
    entries: Iterable[ModelEntry], text: str, score: Callable[[str, str], float]
) -> list[ModelEntry]:
    """Return the entries whose title or name matches `text`, in the order of the sections, best match first.

    Args:
        text: empty for all, in their given order.
        score: returns how well a query matches a candidate; 0 for not at all.
    """
    if not text:
        return sorted(entries, key=_section_number)
    scored = [(max(score(text, one.title), score(text, one.name)), one) for one in entries]
    found = [(points, one) for points, one in scored if points > 0]
    return [one for points, one in sorted(found, key=lambda pair: (_section_number(pair[1]), -pair[0]))]


def is_name(text: str) -> bool:
    """Return whether a text names one model and does not filter: a path, `org/name`, or `demo`."""
    return text == "demo" or "/" in text or text.startswith(("~", ".")) or "\\" in text


def _section_number(entry: ModelEntry) -> int:
    return list(Section).index(entry.section)

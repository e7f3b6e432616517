"""Read the few figures that are shown from a page of Prometheus metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite

MOST_LINES = 50_000
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """The samples of a page by name; those with the same name and other labels are in order."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for name, labels, value in _samples(text):
            self._samples.setdefault(name, []).append((labels, value))

    def total(self, *names: str) -> float | None:
        """Return the sum over all labels of the first of the names that there is; None without any."""
        for name in names:
            if found := self._samples.get(name):
                return sum(value for _, value in found)
        return None

    def count(self, *names: str) -> int | None:
        """Return `total` as a whole number."""
        found = self.total(*names)
        return None if found is None or found < 0 else int(found)

    def share(self, *names: str) -> float | None:
        """Return `total` if it is between 0 and 1."""
        found = self.total(*names)
        return found if found is not None and 0 <= found <= 1 else None

    def label(self, name: str, label: str) -> str:
        """Return a label of a metric's first sample; empty if there is none."""
        found = self._samples.get(name)
        return found[0][0].get(label, "") if found else ""

    def labelled(self, name: str, label: str, value: str) -> float | None:
        """Return the first sample whose label has this value."""
        return next((one for labels, one in self._samples.get(name, ()) if labels.get(label) == value), None)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.split("\n")[:MOST_LINES]:
        if not line.startswith("#") and (found := _LINE.match(line)):
            try:
                value = float(found[3])
            except ValueError:
                continue
            if isfinite(value):
                yield found[1], dict(_LABEL.findall(found[2] or "")), value

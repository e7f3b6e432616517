"""What an inspection finds, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MAX_ROWS = 20_000
"""Rows of a list that are kept. A decoder with 100 layers has some 5,000 nodes."""
MAX_NAME = 400
"""Characters of a name that are kept."""
MAX_PARTS = 200
"""Names of fused layers that are kept for each layer."""
ONNX, NETWORK, ENGINE = "onnx", "network", "engine"
"""Names of the lists."""


@dataclass(frozen=True)
class Row:
    """A node or layer."""

    name: str
    kind: str = ""
    precision: str = ""
    """Of its first output, or as the library reports it; empty if unknown."""
    weights: str = ""
    """Precision of its weights; empty if it has none."""
    weight_bytes: int | None = None
    """Bytes of the constants that it reads, in the precision that they are stored in."""
    shape: tuple[int | str, ...] | None = None
    """Of its first output; a text for a size that may vary."""
    microseconds: float | None = None
    """Measured time of one run."""
    parts: tuple[str, ...] = ()
    """What was fused into it, where the library reports it."""


@dataclass(frozen=True)
class Listing:
    """The nodes or layers of one kind of file, in its order."""

    name: str
    """`onnx`, `network` or `engine`."""
    file: str
    """Name of the file in the engine's folder."""
    rows: tuple[Row, ...] = ()
    exists: bool = True
    """Whether the engine has the file."""
    problem: str = ""
    """Why it cannot be read, as a sentence; empty if it was read."""
    omitted: int = 0
    """Rows beyond MAX_ROWS."""
    weight_bytes: int | None = None
    """Bytes of all constants, each counted once; None if unknown."""
    facts: dict[str, str] = field(default_factory=dict)
    """What else the file says, such as `opset`."""


@dataclass(frozen=True)
class Inspection:
    """The lists of an engine: its ONNX graph, the network parsed from it, and the compiled engine."""

    graph: Listing
    network: Listing
    engine: Listing

    def __iter__(self) -> Iterator[Listing]:
        """Iterate over the lists."""
        return iter((self.graph, self.network, self.engine))


@dataclass(frozen=True)
class KindCount:
    """How many nodes of a kind have the same precision."""

    kind: str
    precision: str
    """Of their weights, in a list that has weights; otherwise of their outputs."""
    count: int
    weight_bytes: int
    """0 in a list without weights."""


def short(text: str) -> str:
    """Return the first MAX_NAME characters, without halves of surrogate pairs, which JSON cannot hold."""
    return text[:MAX_NAME].encode("utf-8", "replace").decode()


def count_kinds(rows: Sequence[Row]) -> list[KindCount]:
    """Return the kinds of rows by precision: those that have weights, or all if none has; largest first.

    A constant that several nodes read counts at each of them.
    """
    weighty = [row for row in rows if row.weight_bytes is not None]
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in weighty or rows:
        key = (row.kind, row.weights if weighty else row.precision)
        count, total = found.get(key, (0, 0))
        found[key] = (count + 1, total + (row.weight_bytes or 0))
    counts = [KindCount(*key, *value) for key, value in found.items()]
    return sorted(counts, key=lambda one: (-one.weight_bytes, -one.count))


def matching(rows: Iterable[Row], search: str) -> list[Row]:
    """Return the rows whose name, kind, precision or fused names contain all words, in any case."""
    words = search.casefold().split()
    return [row for row in rows if all(word in _searched(row) for word in words)]


def _searched(row: Row) -> str:
    return "\n".join((row.name, row.kind, row.weights, row.precision, *row.parts)).casefold()


def largest_first(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by bytes of weights; those without keep their order at the end."""
    return sorted(rows, key=lambda row: -(row.weight_bytes or 0))


def slowest_first(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by time; those without keep their order at the end."""
    return sorted(rows, key=lambda row: -(row.microseconds or 0.0))

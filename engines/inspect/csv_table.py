"""The lists of an engine as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from engines.inspect.inspection import Listing, Row

FIELDS = ("list", "name", "kind", "precision", "weights", "weight_bytes", "shape", "microseconds", "fused")


def csv_table(listings: Iterable[Listing]) -> str:
    """Return a line for each row of every list. Several sizes or names in one cell are joined by `;`."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(FIELDS)
    for listing in listings:
        writer.writerows(_cells(listing.name, row) for row in listing.rows)
    return sink.getvalue()


def _cells(name: str, row: Row) -> list[object]:
    shape = "" if row.shape is None else ";".join(map(str, row.shape))
    return [
        name,
        row.name,
        row.kind,
        row.precision,
        row.weights,
        row.weight_bytes,
        shape,
        row.microseconds,
        ";".join(row.parts),
    ]

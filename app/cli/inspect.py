"""`trt-playground engines inspect`: the nodes and layers of an engine as plain text or CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.cli.output import echo

if TYPE_CHECKING:
    from engines.build.stored_engine import StoreEntry
    from engines.inspect.inspection import Inspection, Listing

LARGEST = 15
"""Rows of each list that are printed without `--all`."""
_NAME = 60
"""Columns of the longest name that the others are aligned with."""


def inspect_engine(entry: StoreEntry, *, every: bool, table: Path | None) -> None:
    """Print the summary of an engine and its lists.

    Args:
        every: all rows in the order of their file, instead of the largest ones.
        table: CSV file for all rows, which then are not printed.

    Raises:
        typer.Exit: the engine cannot be read, or the file cannot be written; the reason has been printed.
    """
    import asyncio

    from app.state.prepare.engine_inspection import engine_lines, inspection_lines
    from engines.build.stored_engine import UnreadableEngine, damage
    from engines.errors import EngineError, error_text
    from engines.inspect.process import inspect_folder

    if isinstance(entry, UnreadableEngine):
        echo(f"{entry.fingerprint} cannot be inspected: {entry.reason}.", err=True)
        raise typer.Exit(1)
    _print_lines(engine_lines(entry))
    problem = damage(entry)
    if problem:
        echo(f"{'state':<15} damaged: {problem}")
    try:
        found = asyncio.run(inspect_folder(entry.directory))
    except EngineError as error:
        echo(error_text(error), err=True)
        raise typer.Exit(1) from error
    _print_lines(inspection_lines(entry, found))
    if table:
        _write(found, table)
    else:
        for listing in found:
            _print_rows(listing, every=every)
    raise typer.Exit(1 if problem or any(listing.problem for listing in found) else 0)


def _print_lines(lines: Iterator[tuple[str, str]]) -> None:
    for label, text in lines:
        echo(f"{label:<15} {text}".rstrip())


def _print_rows(listing: Listing, *, every: bool) -> None:
    from app.state.prepare.engine_inspection import COLUMNS, TITLES, cells, fused_text, used_columns
    from engines.inspect.inspection import largest_first, slowest_first

    if not listing.rows:
        return
    is_timed = any(row.microseconds is not None for row in listing.rows)
    first = (slowest_first if is_timed else largest_first)(listing.rows)
    rows = listing.rows if every else first[:LARGEST]
    chosen = f"all {len(rows):,}" if every else f"{'slowest' if is_timed else 'largest'} {len(rows):,}"
    echo()
    echo(f"{TITLES[listing.name]}, {chosen} of {len(listing.rows) + listing.omitted:,}:")
    places = used_columns(rows)
    texts = [[cells(row)[place] for place in places] for row in rows]
    lines = [[COLUMNS[place] for place in places], *texts]
    widths = [min(_NAME, max(len(line[at]) for line in lines)) for at in range(len(places))]
    for line, row in zip(lines, (None, *rows), strict=True):
        echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
        if every and row and row.parts:
            echo(f"    fused: {fused_text(row)}")


def _write(found: Inspection, table: Path) -> None:
    from app.state.prepare.engine_inspection import write_csv

    try:
        write_csv(found, table)
    except (OSError, ValueError) as error:
        echo(f"{table} cannot be written: {error}", err=True)
        raise typer.Exit(1) from error
    echo(f"Written: {table}, {sum(len(listing.rows) for listing in found):,} rows.")

"""What the inspector says about an engine: its summary, the cells of its rows, and why a list is empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.state.prepare.engine_titles import checkpoint_title, stored_title
from app.state.settings.atomic_file import PUBLIC, write_atomic
from app.terminal_text import displayable
from app.units import bytes_text, seconds_text
from engines.backends.registry import BACKENDS
from engines.build.spec import TARGET, versions_of
from engines.build.stored_engine import StoredEngine
from engines.inspect.csv_table import csv_table
from engines.inspect.inspection import ENGINE, NETWORK, ONNX, Inspection, KindCount, Listing, Row, count_kinds

TITLES = {ONNX: "ONNX nodes", NETWORK: "Network layers", ENGINE: "Engine layers"}
COLUMNS = ("name", "kind", "weights", "bytes", "time", "precision", "shape")
KINDS = 12
"""Kinds of nodes that a summary names, largest first."""
FILES = 12
"""Files that a summary names, largest first."""

Line = tuple[str, str]
"""A label and its text, both in one line and without control characters."""


def engine_lines(entry: StoredEngine) -> Iterator[Line]:
    """Yield what the manifest says about an engine."""
    spec = entry.spec
    yield _line("engine", stored_title(spec))
    yield _line("fingerprint", entry.fingerprint)
    yield _line("checkpoint", checkpoint_title(spec.checkpoint))
    yield _line("target", spec.target or spec.device)
    versions = sorted(versions_of(entry.manifest.inputs).items())
    if versions:
        yield _line("versions", ", ".join(f"{name} {version}" for name, version in versions))
    options = {name: value for name, value in spec.options.items() if name != TARGET}
    if options:
        yield _line("options", ", ".join(f"{name} {value}" for name, value in options.items()))
    yield _line("build", seconds_text(entry.manifest.build_seconds))
    yield _line("size", f"{bytes_text(entry.size)} in {_count(len(entry.manifest.files), 'file')}")
    files = sorted(entry.manifest.files.items(), key=lambda file: -file[1])
    yield from (_line("", f"{bytes_text(size):>9}  {name}") for name, size in files[:FILES])
    if len(files) > FILES:
        yield _line("", f"and {len(files) - FILES} smaller ones")


def inspection_lines(entry: StoredEngine, inspection: Inspection) -> Iterator[Line]:
    """Yield what the files of an engine hold."""
    for listing in inspection:
        yield _line(TITLES[listing.name], _held(entry, inspection, listing))
        facts = ", ".join(f"{name} {value}" for name, value in listing.facts.items())
        if facts:
            yield _line("", facts)
        kinds = count_kinds(listing.rows)
        yield from (_line("", _kind_text(one)) for one in kinds[:KINDS])
        if len(kinds) > KINDS:
            yield _line("", f"and {_count(len(kinds) - KINDS, 'other kind')}")


def _kind_text(one: KindCount) -> str:
    size = f"{bytes_text(one.weight_bytes):>9}  " if one.weight_bytes else ""
    return f"{size}{one.count:,} × {', '.join(filter(None, (one.kind, one.precision))) or 'unknown kind'}"


def _held(entry: StoredEngine, inspection: Inspection, listing: Listing) -> str:
    if not listing.rows:
        return why_empty(entry, inspection, listing)
    words = [_count(len(listing.rows) + listing.omitted, "layer" if listing.name != ONNX else "node")]
    if listing.weight_bytes is not None:
        words.append(f"{bytes_text(listing.weight_bytes)} of constants")
    if fused := sum(bool(row.parts) for row in listing.rows):
        words.append(f"{fused} fused of several")
    times = [row.microseconds for row in listing.rows if row.microseconds is not None]
    if times:
        words.append(f"{seconds_text(sum(times) / 1e6)} in one run")
    return ", ".join(words) + (f". {listing.problem}" if listing.problem else "")


def why_empty(entry: StoredEngine, inspection: Inspection, listing: Listing) -> str:
    """Return why a list has no rows."""
    if listing.problem:
        return displayable(listing.problem)
    if listing.exists:
        return f"{listing.file} has no layers."
    backend = BACKENDS[entry.spec.backend].title
    if listing.name == ONNX:
        return f"This engine has no graph file ({listing.file}): it was built by {backend}."
    if listing.name == ENGINE and inspection.network.exists:
        return f"Engine layers ({listing.file}) are written when a GPU runs the engine, not before."
    return f"This engine has no list of layers ({listing.file}): it was built by {backend}."


def cells(row: Row) -> list[str]:
    """Return the cells of a row under COLUMNS; empty where nothing is known."""
    shape = shape_text(row.shape)
    size = "" if row.weight_bytes is None else bytes_text(row.weight_bytes)
    time = "" if row.microseconds is None else seconds_text(row.microseconds / 1e6)
    return [one_line(text) for text in (row.name, row.kind, row.weights, size, time, row.precision, shape)]


def shape_text(shape: tuple[int | str, ...] | None) -> str:
    """Return `1 × T × 768`, `scalar`, or nothing for a shape that is not known."""
    return "" if shape is None else " × ".join(map(str, shape)) or "scalar"


def used_columns(rows: Iterable[Row]) -> list[int]:
    """Return the places of the columns that at least one row fills; the name is always there."""
    filled = {0}
    for row in rows:
        values = (row.kind, row.weights, row.weight_bytes, row.microseconds, row.precision, row.shape)
        filled |= {place for place, value in enumerate(values, 1) if value not in (None, "")}
    return sorted(filled)


def fused_text(row: Row) -> str:
    """Return what was fused into a layer, in one line; empty where the library does not say."""
    return one_line(" + ".join(row.parts))


def write_csv(inspection: Inspection, path: Path) -> None:
    """Write every list to a file.

    Raises:
        FileExistsError: there is a file already.
        OSError: it cannot be written.
    """
    if path.is_file():
        raise FileExistsError("There is such a file already.")
    write_atomic(path, displayable(csv_table(inspection)).encode(), PUBLIC)


def one_line(text: str) -> str:
    """Return the text in one line, with control characters replaced."""
    return displayable(" ".join(text.split()))


def _line(label: str, text: str) -> Line:
    return label, displayable(" ".join(text.splitlines())).replace("\t", " ")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

"""A comparison as a Markdown page."""

from __future__ import annotations

import time

from engines.compare.comparison import Comparison, Row
from engines.compare.report.table import COLUMNS, cell, notes
from engines.displayable import displayable


def markdown(comparison: Comparison) -> str:
    """Return the table with the method and the machine, displayable."""
    header = [column.title for column in COLUMNS]
    lines = [
        f"# {_cell(comparison.checkpoint)}: engines compared with {_cell(comparison.reference.title)}",
        "",
        _line(header),
        _line(["---"] * len(header)),
        *(_line(_cells(row, comparison)) for row in (comparison.reference, *comparison.rows)),
        "",
        *(f"{note}.\n" for note in notes(comparison)),
        comparison.method,
        "",
        *(f"- {name}: {value}" for name, value in facts(comparison).items()),
    ]
    return displayable("\n".join(lines) + "\n")


def facts(comparison: Comparison) -> dict[str, str]:
    """Return where, when and over what was measured, as text."""
    texts = ", ".join(f"{_cell(text.name)} ({text.tokens:,} tokens)" for text in comparison.texts)
    made = time.strftime("%Y-%m-%d %H:%M", time.gmtime(comparison.made_at))
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
    found = {"texts": texts, **comparison.machine, "versions": versions, "measured": f"{made} UTC"}
    return {name: value for name, value in found.items() if value}


def _cells(row: Row, comparison: Comparison) -> list[str]:
    if row.error:
        return [row.title, f"failed: {row.error}", *[""] * (len(COLUMNS) - 2)]
    return [cell(column, row, comparison) for column in COLUMNS]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")

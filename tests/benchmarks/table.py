"""Results of benchmarks: a Markdown table, JSON data, and budgets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Budget:
    """A figure and its limit. Reported, not asserted, because machines and their load differ."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False
    """Whether the limit is a minimum."""

    @property
    def met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        """Return a line such as `met      stop OpenVINO int8: 108 ms (budget ≤ 200 ms)`."""
        sign = "≥" if self.at_least else "≤"
        return (
            f"{'met' if self.met else 'MISSED':<8} {self.what}: "
            f"{number(self.measured)}{self.unit} (budget {sign} {number(self.limit)}{self.unit})"
        )


@dataclass
class Result:
    """The result of one benchmark."""

    name: str
    method: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    """All measured values, for the JSON file."""
    notes: list[str] = field(default_factory=list)
    """How many rounds were kept and how quiet the machine was."""

    def lines(self) -> list[str]:
        """Return the result as Markdown."""
        return [
            f"## {self.name}",
            "",
            self.method,
            "",
            *_table(self.columns, self.rows),
            "",
            *(budget.line() for budget in self.budgets),
            "",
            *self.notes,
        ]

    def to_json(self) -> dict[str, object]:
        """Return the result for the JSON file."""
        budgets = [
            {"what": b.what, "measured": b.measured, "limit": b.limit, "unit": b.unit.strip(), "met": b.met}
            for b in self.budgets
        ]
        return {
            "name": self.name,
            "method": self.method,
            "figures": self.figures,
            "budgets": budgets,
            "notes": self.notes,
        }


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return an aligned Markdown table; the first column is left-aligned."""
    cells = [columns, *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    ruler = tuple("-" * width for width in widths)
    return [_row(row, widths) for row in (columns, ruler, *rows)]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "| " + " | ".join([first, *rest]) + " |"


def number(value: float) -> str:
    """Return `value` with three significant digits: `0.0712`, `3.91`, `141`."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def spread(values: Sequence[float], show: Callable[[float], str] = number) -> str:
    """Return the median and the range: `3.93 [3.47–3.99]`."""
    return f"{show(statistics.median(values))} [{show(min(values))}–{show(max(values))}]"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each round: a disturbance affects both figures of a round."""
    return [a / b for a, b in zip(above, below, strict=True)]

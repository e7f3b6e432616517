"""A comparison as one web page without scripts, pictures or network: table, scatter plot, worst passages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from engines.compare.answer_text import heat
from engines.compare.comparison import Alternative, Comparison, Passage, Position, Row
from engines.compare.report.markdown import facts
from engines.compare.report.scatter import scatter
from engines.compare.report.table import COLUMNS, cell, divergence, notes, percent
from engines.displayable import displayable

PAGE = Path(__file__).with_name("page.html")
SIGNS = ("", "¹", "²", "³")
"""Shown after the token, for readers who do not see the colours."""


def html_page(comparison: Comparison) -> str:
    """Return the page. Every text in it is escaped and displayable: names and tokens are a checkpoint's."""
    title = f"{comparison.checkpoint}: engines compared with {comparison.reference.title}"
    worst = max(comparison.rows, key=lambda row: row.quality.mean_kld if row.quality else -1.0, default=None)
    header = "".join(f'<th title="{escape(column.help)}">{escape(column.title)}</th>' for column in COLUMNS)
    rows = [_row(row, comparison) for row in (comparison.reference, *comparison.rows)]
    lines = "".join(f"<p>{escape(name)}: {escape(value)}</p>" for name, value in facts(comparison).items())
    page = Template(PAGE.read_text("utf-8")).substitute(
        title=escape(title),
        header=header,
        rows="\n".join(rows),
        notes="".join(f'<p class="note">{escape(note)}.</p>' for note in notes(comparison)),
        scatter=scatter(comparison),
        passages="\n".join(_engine_passages(row, row is worst) for row in comparison.rows if row.passages),
        method=escape(comparison.method),
        facts=lines,
    )
    return displayable(page)


def _row(row: Row, comparison: Comparison) -> str:
    if row.error:
        return (
            f'<tr><td>{escape(row.title)}</td><td class="error" colspan="{len(COLUMNS) - 1}">'
            f"{escape(row.error)}</td></tr>"
        )
    cells = (escape(cell(column, row, comparison)) for column in COLUMNS)
    return f"<tr>{''.join(f'<td>{text}</td>' for text in cells)}</tr>"


def _engine_passages(row: Row, is_open: bool) -> str:
    shown = "\n".join(_passage(one) for one in row.passages)
    return f"<details{' open' if is_open else ''}><summary>{escape(row.title)}</summary>\n{shown}\n</details>"


def _passage(passage: Passage) -> str:
    tokens = "".join(_token(one) for one in passage.positions)
    name = f"{passage.text_name}, from token {passage.start + 2:,}"
    return f'<p class="note">{escape(name)}</p><pre>{tokens}</pre>'


def _token(position: Position) -> str:
    shade = heat(position.kl)
    sign = f"<sup>{SIGNS[shade]}</sup>" if shade else ""
    tip = "\n".join(
        [
            f"KLD {divergence(position.kl)} nats",
            f"{'reference':<26}engine",
            *_pairs(position.reference, position.engine),
        ]
    )
    return (
        f'<span class="t h{shade}" tabindex="0">{escape(position.text)}{sign}'
        f'<span class="tip">{escape(tip)}</span></span>'
    )


def _pairs(reference: Sequence[Alternative], engine: Sequence[Alternative]) -> list[str]:
    return [
        f"{_alternative(one):<26}{_alternative(other)}" for one, other in zip(reference, engine, strict=False)
    ]


def _alternative(one: Alternative) -> str:
    return f"{percent(one.probability):>7} {one.text!r:.16}"

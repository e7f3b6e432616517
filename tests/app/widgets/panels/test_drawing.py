"""Bars have exact lengths, and text stays within its width."""

from __future__ import annotations

from math import inf, nan

import pytest
from rich.cells import cell_len
from textual.content import Content

from app.widgets.panels.drawing import (
    BarPart,
    fit_pieces,
    lines,
    nice_ceiling,
    one_line,
    share_cells,
    sparkline,
    stacked_bar,
)


@pytest.mark.parametrize(
    ("amounts", "total", "width", "cells"),
    [
        ([50, 25], 100, 20, [10, 5]),
        ([1, 1, 98], 100, 10, [1, 1, 8]),
        ([0, 0], 100, 10, [0, 0]),
        ([1], 10**9, 10, [1]),
        ([200], 100, 10, [10]),
        ([1, 1, 1], 3, 2, [0, 1, 1]),
        ([1, 2], 0, 9, [3, 6]),
        ([5], 10, 0, [0]),
        ([nan, inf, -1, 5], 10, 10, [0, 0, 0, 5]),
    ],
)
def test_cells_are_shared(amounts: list[float], total: float, width: int, cells: list[int]) -> None:
    assert share_cells(amounts, total, width) == cells


def test_every_positive_amount_gets_a_cell_within_the_width() -> None:
    for width in range(3, 60):
        cells = share_cells([1, 3000, 7], 10_000, width)
        assert all(cells)
        assert sum(cells) <= width


def test_a_bar_fills_its_width() -> None:
    parts = [BarPart(30, "█", "red"), BarPart(20, "▒", "green")]
    assert stacked_bar(parts, 100, 10).plain == "███▒▒·····"
    assert stacked_bar([], 0, 4).plain == "····"


def test_a_sparkline_is_blank_without_samples() -> None:
    assert sparkline([(70, 100.0), (100, 50.0), (39, 1.0), (90, nan)], 100, 100, 4) == "  █▄"
    assert sparkline([(100, 50.0)], 100, 0, 0) == ""


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (nan, 1), (-3, 1), (0.3, 0.5), (1, 1), (101, 200), (200, 200), (210, 500), (9e12, 1e13)],
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


@pytest.mark.parametrize("text", ["plain", "of two\nlines", "漢字漢字漢字漢字", "[/b]\t[red]", ""])
def test_text_is_cut_to_one_line(text: str) -> None:
    for width in range(12):
        cut = one_line(text, width)
        assert cell_len(cut) <= width
        assert "\n" not in cut
    assert one_line("a long title", 8) == "a long…"


def test_pieces_that_do_not_fit_are_skipped() -> None:
    pieces = [Content("first"), Content("a second one"), Content("third")]
    assert fit_pieces(pieces, 13).plain == "first  third"
    assert fit_pieces(pieces, 3).plain == ""


def test_lines_are_cut_to_the_height() -> None:
    assert lines([Content("a"), Content("b")], 1).plain == "a"
    assert lines([Content("a")], 0).plain == ""

"""Names of points that do not cover each other, and the spread of divergences."""

from __future__ import annotations

from itertools import combinations

from app.state.comparison.quality_entry import EntryState, QualityEntry
from app.widgets.quality.label_places import Label, label_places
from app.widgets.quality.quality_table import ordered
from app.widgets.quality.spread import spread
from tests.app.measured import BF16, COMPARISON, FAILED, INT4, INT8, REFERENCE


def cells(label: Label) -> set[tuple[int, int]]:
    return {(x, label.y) for x in range(label.x, label.x + len(label.text))}


def test_names_cover_neither_each_other_nor_a_point() -> None:
    points = [
        Label(10, 5, "first"),
        Label(11, 5, "second"),
        Label(10, 6, "third"),
        Label(38, 5, "right edge"),
    ]
    found = label_places(points, 40, 12)
    assert {label.text for label in found} == {"first", "second", "third", "right edge"}
    for one, other in combinations(found, 2):
        assert not cells(one) & cells(other)
    assert not any((point.x, point.y) in cells(label) for label in found for point in points)
    assert all(0 < x < 39 and 0 < y < 11 for label in found for x, y in cells(label))


def test_a_name_that_fits_nowhere_is_left_out() -> None:
    assert label_places([Label(5, 1, "a name that is long")], 12, 3) == []
    assert label_places([], 12, 3) == []


def test_the_spread_has_a_line_for_each_engine_and_fits_the_width() -> None:
    drawn = spread(COMPARISON.rows, "OpenVINO int8", 60)
    assert drawn
    title, *lines, axis = drawn.plain.split("\n")
    assert [line[:13] for line in lines] == ["OpenVINO bf16", "OpenVINO int8", "OpenVINO int4"]
    assert all(len(line) <= 60 and line.count("┃") == 1 for line in (*lines,))
    assert [line.index("┃") for line in lines] == sorted(line.index("┃") for line in lines)
    assert len(axis) <= 60
    assert "median" in title
    assert spread(COMPARISON.rows, "", 30) is None
    assert spread([FAILED, REFERENCE], "", 60) is None


def test_engines_without_a_figure_stay_at_the_end() -> None:
    rows = [FAILED, INT4, BF16, INT8]
    entries = [QualityEntry(row.title, EntryState.MEASURED, None, None, row) for row in rows]
    entries.append(QualityEntry("none", EntryState.MISSING, None, None))
    assert [one.title for one in ordered(entries, "engine")] == [*(row.title for row in rows), "none"]
    assert [one.title for one in ordered(entries, "tok/s")][:3] == [row.title for row in (INT4, INT8, BF16)]
    assert [one.title for one in ordered(entries, "Flips")][-2:] == [FAILED.title, "none"]

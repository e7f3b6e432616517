"""A comparison that was exported, perhaps on another machine, as the Quality screen shows it."""

from __future__ import annotations

import time
from pathlib import Path

from app.state.comparison.quality_entry import EntryState, QualityEntry
from app.state.comparison.study import Study
from app.state.comparison.text_set import TextSet
from engines.build.spec import EngineSpec
from engines.compare.comparison import Comparison, Row, load_comparison
from engines.compare.latest import LatestFile

FIXED = "This comparison is recorded, perhaps on another machine. Esc shows what is measured on this one."


def read_recorded(path: Path) -> Study:
    """Return the comparison of a file, or of a folder with a report.

    Raises:
        ComparisonError: it cannot be read.
    """
    found = path.expanduser()
    return recorded_study(load_comparison(found), found)


def recorded_study(comparison: Comparison, path: Path) -> Study:
    """Return a study whose engines can neither be measured nor loaded."""
    reference = comparison.reference
    made = time.strftime("%Y-%m-%d", time.gmtime(comparison.made_at))
    return Study(
        checkpoint=f"recorded {made}: {comparison.checkpoint}",
        text_set=TextSet("", ", ".join(text.name for text in comparison.texts), ()),
        reference=EngineSpec(comparison.checkpoint, reference.backend, reference.precision),
        reference_title=reference.title,
        entries=[_entry(reference, is_reference=True), *(_entry(row) for row in comparison.rows)],
        comparison=comparison,
        file=LatestFile(path, ""),
        problem=FIXED,
    )


def _entry(row: Row, *, is_reference: bool = False) -> QualityEntry:
    state = EntryState.FAILED if row.error else EntryState.MEASURED
    return QualityEntry(row.title, state, None, None, row, row.error or FIXED, is_reference)

"""Every test that COMPLAINTS.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_named_test_exists() -> None:
    named = NAMED.findall((PROJECT / "tests/COMPLAINTS.md").read_text())
    assert len(named) > 40
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (PROJECT / path).is_file() or f"def {test}(" not in (PROJECT / path).read_text()
    ]
    assert missing == []


def test_every_row_names_a_test_or_says_why_not() -> None:
    rows = [
        line for line in (PROJECT / "tests/COMPLAINTS.md").read_text().splitlines() if line.startswith("| ")
    ]
    answers = [line.rsplit(" | ", 1)[-1] for line in rows if not line.startswith(("| asked", "| ---"))]
    assert all(answer.startswith(("`tests/", "not ")) for answer in answers)

"""The Markdown files name files that exist; the README stays short; the demo card follows its template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
MAX_README_LINES = 150
OVERVIEWS = [Path("README.md"), *(Path(folder) / "README.md" for folder in ("app", "engines", "tests"))]
"""Pages that describe the layout: each path in backticks is relative to the page or to the project."""
PAGES = sorted(
    path.relative_to(PROJECT)
    for folder in ("app", "engines", "tests")
    for path in (PROJECT / folder).rglob("*.md")
)


@pytest.mark.parametrize("page", [Path("README.md"), Path("CHANGELOG.md"), *PAGES], ids=str)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (PROJECT / page).read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (PROJECT / page.parent / link).exists()] == []


@pytest.mark.parametrize("page", OVERVIEWS, ids=str)
def test_named_modules_exist(page: Path) -> None:
    named = re.findall(r"`([\w/]+\.(?:py|md|toml|tcss))`", (PROJECT / page).read_text("utf-8"))
    places = (PROJECT / page.parent, PROJECT, PROJECT / page.parent / "doubles")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len((PROJECT / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


def test_the_demo_card_is_the_filled_template() -> None:
    folder = PROJECT / "engines" / "demo"
    texts = re.split(r"\$\w+", (folder / "card.md").read_text("utf-8").strip())
    card = (folder / "checkpoint" / "README.md").read_text("utf-8").strip()
    assert re.fullmatch("(?s:.+?)".join(map(re.escape, texts)), card)

"""Write a comparison in every format."""

from __future__ import annotations

from pathlib import Path

from engines.compare.comparison import FILE, Comparison, save_comparison
from engines.compare.report.csv_table import csv_table
from engines.compare.report.html_page import html_page
from engines.compare.report.markdown import markdown


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write `comparison.json`, `.csv`, `.md` and `.html` into the folder, which is made if need be.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_comparison(comparison, folder / FILE)
    (folder / "comparison.csv").write_text(csv_table(comparison), "utf-8")
    (folder / "comparison.md").write_text(markdown(comparison), "utf-8")
    (folder / "comparison.html").write_text(html_page(comparison), "utf-8")


def free_folder(parent: Path, name: str) -> Path:
    """Return a folder below `parent` that does not exist: `name`, `name-2`, and so on."""
    found, number = parent / name, 1
    while found.exists():
        number += 1
        found = parent / f"{name}-{number}"
    return found

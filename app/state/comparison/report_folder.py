"""Write the report of a comparison into a new folder."""

from __future__ import annotations

import re
from pathlib import Path

from engines.compare.comparison import Comparison
from engines.compare.report.files import free_folder, write_report


def export(comparison: Comparison, documents: Path, name: str) -> Path:
    """Write the report into a folder below `documents` that did not exist, and return that folder.

    Args:
        name: what the folder's name ends with, such as `quality`.

    Raises:
        OSError: it cannot be written.
    """
    folder = free_folder(documents, f"{_file_name(comparison.checkpoint)}-{name}")
    write_report(comparison, folder)
    return folder


def _file_name(text: str) -> str:
    """Return the text with only letters, digits and a few signs, at most 80 characters."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80] or "comparison"

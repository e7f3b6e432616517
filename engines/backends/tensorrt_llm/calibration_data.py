"""Calibration texts as the library's data set."""

from __future__ import annotations

import json
from pathlib import Path


def write_data_set(texts: list[str], folder: Path) -> Path:
    """Write the texts as a local data set with one column, `text`, for the library's calibration.

    Returns:
        `folder`, which is created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder

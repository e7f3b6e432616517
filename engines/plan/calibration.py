"""The user's own text to calibrate with: a plain file, or JSON lines with `text` in each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.text_file import TextFileError, read_text_file

LARGEST = 64 << 20
"""Bytes: a hundred times what is read of it."""
CHARACTERS = 1500
"""Of one text that the model is shown: some 400 tokens. A file with fewer in all says next to nothing."""
JSON_LINES = (".jsonl", ".ndjson")
ANOTHER = "Choose another file, or none for the texts that ship with the project."


@dataclass(frozen=True)
class CalibrationText:
    """What a file holds."""

    texts: tuple[str, ...]
    """Those of its lines, or the one that a plain file is."""

    @property
    def characters(self) -> int:
        """In all of them."""
        return sum(map(len, self.texts))

    @property
    def digest(self) -> str:
        """Twenty hex digits that change with the content, wherever the file lies."""
        return hashlib.sha256("\0".join(self.texts).encode()).hexdigest()[:20]


def read_calibration(file: str) -> CalibrationText:
    """Read it; never on an event loop.

    Raises:
        EngineError: `bad-calibration`: it cannot be read, is no text, or is too short.
    """
    name = Path(file).name or file
    try:
        text = read_text_file(file, LARGEST)
    except TextFileError as error:
        raise _unusable(name, str(error)) from error
    lines = file.lower().endswith(JSON_LINES)
    found = CalibrationText(tuple(_texts_of_lines(name, text)) if lines else (text,))
    if found.characters < CHARACTERS:
        words = f"It holds {found.characters:,} characters, and {CHARACTERS:,} are the least."
        raise _unusable(name, f"{words} Some hundred thousand that resemble what will be asked are better.")
    return found


def _texts_of_lines(name: str, lines: str) -> Iterator[str]:
    for number, line in enumerate(lines.split("\n"), 1):  # other separators may stand within a string
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        text = found.get("text") if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise _unusable(name, f"Its line {number:,} is no JSON object with a `text`. {ANOTHER}")
        yield text.encode("utf-8", "replace").decode()  # an escape may name half a character


def _unusable(name: str, why: str) -> EngineError:
    return EngineError("bad-calibration", f"The calibration text {name} cannot be used.", why)

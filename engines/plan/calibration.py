"""The user's calibration text: a plain text file, or JSON lines with a `text` field in each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.text_file import TextFileError, read_text_file

MAX_FILE_BYTES = 64 << 20
"""About a hundred times what calibration reads from the file."""
CHUNK_CHARACTERS = 1500
"""Characters of one calibration sample, about 400 tokens; the minimum for a file."""
WITHOUT = "none"
"""Chosen instead of a file: weights are rounded without calibration, where the engine can be built so."""
JSON_LINES = (".jsonl", ".ndjson")
CHOOSE_ANOTHER = "Choose another file, or none for the texts that ship with the project."


@dataclass(frozen=True)
class CalibrationText:
    """The texts of a calibration file."""

    texts: tuple[str, ...]
    """One for each JSON line, or the content of a plain file as one text."""

    @property
    def characters(self) -> int:
        """Characters of all texts together."""
        return sum(map(len, self.texts))

    @property
    def digest(self) -> str:
        """Twenty hex digits of the SHA-256 of the content; the file's path does not count."""
        return hashlib.sha256("\0".join(self.texts).encode()).hexdigest()[:20]


def read_calibration(file: str) -> CalibrationText:
    """Read a calibration file. It blocks: do not call it on an event loop.

    Raises:
        EngineError: `bad-calibration`: the file cannot be read, is not text, or is too short.
    """
    name = Path(file).name or file
    try:
        text = read_text_file(file, MAX_FILE_BYTES)
    except TextFileError as error:
        raise _unusable(name, str(error)) from error
    lines = file.lower().endswith(JSON_LINES)
    found = CalibrationText(tuple(_texts_of_lines(name, text)) if lines else (text,))
    if found.characters < CHUNK_CHARACTERS:
        reason = f"It has {found.characters:,} characters; at least {CHUNK_CHARACTERS:,} are needed."
        raise _unusable(name, f"{reason} Use about 100,000 characters of text like your prompts.")
    return found


def calibration_pieces(texts: Iterable[str], most: int) -> list[str]:
    """Return pieces of CHUNK_CHARACTERS of the texts: at most so many, spread evenly over all of them."""
    slices = (
        text[start : start + CHUNK_CHARACTERS]
        for text in texts
        for start in range(0, len(text), CHUNK_CHARACTERS)
    )
    pieces = [piece for piece in slices if piece.strip()]
    count = min(most, len(pieces))
    return [pieces[index * len(pieces) // count] for index in range(count)]


def _texts_of_lines(name: str, lines: str) -> Iterator[str]:
    for number, line in enumerate(
        lines.split("\n"), 1
    ):  # splitlines() would also split at U+2028 inside a string
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        text = found.get("text") if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise _unusable(name, f"Line {number:,} is not a JSON object with a `text`. {CHOOSE_ANOTHER}")
        yield text.encode("utf-8", "replace").decode()  # an escape may be a lone surrogate


def _unusable(name: str, why: str) -> EngineError:
    return EngineError("bad-calibration", f"The calibration text {name} cannot be used.", why)

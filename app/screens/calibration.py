"""Choose the text that a precision is calibrated with."""

from __future__ import annotations

from pathlib import Path

from app.screens.file import FileScreen, RefusedError
from engines.errors import EngineError
from engines.plan.calibration import read_calibration

HOW = (
    "A text in UTF-8, or JSONL with `text` in each line: some hundred thousand characters that resemble what "
    "will be asked. Tab completes, Enter takes it; an empty field (Ctrl+U): the texts of this project."
)


class CalibrationScreen(FileScreen[str]):
    """The result is the path of a file that can be calibrated with, empty for ours, or None after Esc."""

    def __init__(self, engine: str, chosen: str) -> None:
        """Begin with what is chosen now.

        Args:
            engine: Its title.
        """
        super().__init__(f"Calibration text of {engine}", HOW, chosen)

    def taken(self, path: str) -> str:
        """Its place, for whatever folder the app is started in next."""
        if not path.strip():
            return ""
        try:
            read_calibration(path)
        except EngineError as error:
            raise RefusedError(error.hint) from error
        return path if path.startswith("~") else str(Path(path).absolute())

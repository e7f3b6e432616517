"""Choose the text that quantisation is calibrated with."""

from __future__ import annotations

from pathlib import Path

from app.screens.file import FileScreen, RefusedError
from engines.errors import EngineError
from engines.plan.calibration import WITHOUT, read_calibration

INSTRUCTIONS = (
    "UTF-8 text, or JSONL with a `text` field per line; a few hundred thousand characters similar to your "
    "prompts. Tab completes, Enter selects. Empty field (Ctrl+U): no text of your own."
)
UNCALIBRATED = f" `{WITHOUT}`: no calibration."


class CalibrationScreen(FileScreen[str]):
    """Returns the path of a usable file, an empty string for none, WITHOUT, or None after Esc."""

    def __init__(self, engine: str, chosen: str, *, builds_uncalibrated: bool = False) -> None:
        """Create the screen.

        Args:
            engine: Title of the engine.
            chosen: Path that is chosen now.
            builds_uncalibrated: Whether WITHOUT can be chosen too.
        """
        instructions = INSTRUCTIONS + (UNCALIBRATED if builds_uncalibrated else "")
        super().__init__(f"Calibration text of {engine}", instructions, chosen)
        self._builds_uncalibrated = builds_uncalibrated

    def read(self, path: str) -> str:
        """Check the file and return its absolute path, which stays valid if the app starts in another folder.

        Raises:
            RefusedError: it cannot be read, is not text, or is too short.
        """
        if not path.strip():
            return ""
        if self._builds_uncalibrated and path.strip() == WITHOUT:
            return WITHOUT
        try:
            read_calibration(path)
        except EngineError as error:
            raise RefusedError(error.hint) from error
        return path if path.startswith("~") else str(Path(path).absolute())

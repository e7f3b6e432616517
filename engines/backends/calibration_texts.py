"""Calibration texts: those that ship with the project, or the user's own."""

from __future__ import annotations

import re
from pathlib import Path

from engines.plan.calibration import calibration_pieces, read_calibration

CORPUS = Path(__file__).parents[1] / "demo" / "corpus" / "data"
TEXTS = 128
"""Largest number of texts. NVIDIA's examples calibrate with 128 to 512."""
_QUOTED = re.compile(r'"([^"\n]{20,})"')


def calibration_texts(file: str) -> list[str]:
    """Return at most TEXTS texts, each of at most `CHUNK_CHARACTERS` characters.

    Args:
        file: Path of the user's text file; empty for the sentences of the demo corpus.

    Raises:
        EngineError: The file cannot be read, is not text, or is too short.
    """
    if file:
        return calibration_pieces(read_calibration(file).texts, TEXTS)
    corpus = "\n".join(source.read_text("utf-8") for source in sorted(CORPUS.glob("*.toml")))
    return calibration_pieces(["\n".join(_QUOTED.findall(corpus))], TEXTS)

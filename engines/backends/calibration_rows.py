"""Token ids of the texts that 4-bit weights are calibrated with."""

from __future__ import annotations

from pathlib import Path

from engines.backends.calibration_texts import calibration_texts
from engines.worker.tokenizer_process import open_tokenizer

ROWS, ROW_TOKENS = 8, 256
"""2,048 tokens at most."""


def calibration_rows(checkpoint: Path, file: str, positions: int) -> list[list[int]]:
    """Return at most ROWS rows of token ids of the same length, spread evenly over the texts.

    Args:
        file: the user's text file; empty for the texts that ship with the project.
        positions: tokens that the model takes at most.

    Raises:
        EngineError: the file cannot be used, or the checkpoint has no tokenizer.
    """
    tokenizer = open_tokenizer(checkpoint)
    try:
        ids = [one for text in calibration_texts(file) for one in tokenizer.plain_ids(text)]
    finally:
        tokenizer.close()
    length = min(ROW_TOKENS, positions, len(ids))
    count = min(ROWS, len(ids) // length)
    starts = (row * len(ids) // count for row in range(count))
    return [ids[start : start + length] for start in starts]

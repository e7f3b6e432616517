"""Token ids of the texts that activations are calibrated with."""

from __future__ import annotations

from pathlib import Path

from engines.errors import EngineError
from engines.plan.calibration import calibration_pieces, read_calibration
from engines.worker.tokenizer_process import open_tokenizer

SAMPLES = 32
LEAST_TOKENS = 16
"""Shorter texts are left out."""


def calibration_samples(checkpoint: Path, file: str) -> list[list[int]]:
    """Return at most SAMPLES samples of the user's file, as token ids of the checkpoint's tokenizer.

    Raises:
        EngineError: the file cannot be used, or the checkpoint has no tokenizer.
    """
    tokenizer = open_tokenizer(checkpoint)
    try:
        ids = [
            list(tokenizer.plain_ids(text))
            for text in calibration_pieces(read_calibration(file).texts, SAMPLES)
        ]
    finally:
        tokenizer.close()
    found = [one for one in ids if len(one) >= LEAST_TOKENS]
    if not found:
        raise EngineError(
            "bad-calibration",
            "The calibration text is too short for this tokenizer.",
            "Choose a longer text.",
        )
    return found

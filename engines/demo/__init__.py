"""The demo checkpoint: a toy chat model that ships with the project, so that nothing has to be downloaded."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"
"""The folder of the checkpoint, in the layout of Hugging Face."""

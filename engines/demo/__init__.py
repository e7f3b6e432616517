"""The demo checkpoint: a toy chat model that ships with the project and needs no download."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT: Path = Path(__file__).parent / "checkpoint"
"""Folder of the checkpoint in the Hugging Face layout."""

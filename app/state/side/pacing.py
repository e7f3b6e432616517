"""How often answers are drawn."""

from __future__ import annotations

CALM_SECONDS = 0.1
"""Between two drawings of an answer that can be read while it arrives."""
BUSY_RATE = 100.0
"""Tok/s of both sides together that are too fast to read: drawn with the panels, four times a second."""

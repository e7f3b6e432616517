"""The conversation of a side as lines: no widget for a turn, so a long chat costs what a short one does."""

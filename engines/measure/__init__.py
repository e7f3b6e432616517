"""Figures: time, memory and quality."""

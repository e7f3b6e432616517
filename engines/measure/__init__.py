"""Measurements: time, memory, energy and quality."""

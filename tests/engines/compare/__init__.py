"""Comparing engines."""

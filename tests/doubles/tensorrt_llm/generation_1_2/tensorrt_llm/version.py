"""The version."""

__version__ = "1.2.1"

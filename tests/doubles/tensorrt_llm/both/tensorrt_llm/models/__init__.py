"""Models. The double has none."""

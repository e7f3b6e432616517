"""Models, of which the double has none of its own."""

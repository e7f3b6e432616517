"""The widgets, one per file, with their messages."""

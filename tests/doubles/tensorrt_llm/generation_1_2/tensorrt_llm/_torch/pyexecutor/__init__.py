"""Its executor."""

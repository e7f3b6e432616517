"""One widget a file, with its messages."""

"""Parameters of requests."""

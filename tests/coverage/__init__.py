"""Which families run on which backend: `python -m tests.coverage`."""

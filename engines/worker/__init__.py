"""One process per engine: the protocol, the worker and its client in the app."""

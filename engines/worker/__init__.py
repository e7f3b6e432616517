"""One process, one engine: the protocol, the worker's side and the app's side."""

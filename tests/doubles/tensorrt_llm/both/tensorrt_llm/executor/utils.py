"""Errors of a request."""


class RequestError(RuntimeError):
    """One request failed; the engine stays usable."""

"""What goes wrong with one request."""


class RequestError(RuntimeError):
    """One request failed; the engine goes on."""

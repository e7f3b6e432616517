"""The exception whose message is shown to the user.

Standard library only, Python 3.10 and newer: workers in other environments raise it too.
"""

from __future__ import annotations

from typing import Protocol


class Explained(Protocol):
    """What says what happened and what to do: an EngineError, or the Error event of a worker."""

    @property
    def message(self) -> str:
        """What happened."""

    @property
    def hint(self) -> str:
        """What to do next; may be empty."""


class EngineError(Exception):
    """A failure with a message and a hint for the user.

    Attributes:
        code: Short name that the app and tests match on, such as `out-of-memory`.
        message: What happened.
        hint: What to do next.
        detail: A traceback or the end of a log, for a bug report.
    """

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail


def error_text(error: Explained) -> str:
    """Return message and hint as one text."""
    return f"{error.message} {error.hint}".strip()


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message, cut to 300 characters.

    With the next one where it ends with a colon, and with the exception's name where the text is only a key.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = " ".join(line.strip() for line in lines[:2]) if lines[0].endswith(":") else lines[0]
    return (f"{type(error).__name__} {text}" if isinstance(error, LookupError) else text)[:300]

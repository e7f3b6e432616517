"""The exception whose message is shown to the user.

Standard library only, Python 3.10 and newer: workers in other environments raise it too.
"""

from __future__ import annotations


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

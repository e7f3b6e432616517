"""The one exception with words for the user.

Standard library only, Python 3.10 and newer: workers of other environments raise it too.
"""

from __future__ import annotations


class EngineError(Exception):
    """A failure with a message for the user.

    Attributes:
        code: short name that the app and tests match on, such as `out-of-memory`.
        message: what happened.
        hint: what to do next.
        detail: a traceback or the end of a log, for a bug report.
    """

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail

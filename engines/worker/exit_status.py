"""Describes how a process ended."""

from __future__ import annotations

import contextlib
import signal

SIGNALLED = 128
"""Shells and launchers add this to the number of the signal that ended their child."""


def describe_exit(code: int | None) -> str:
    """Return `exit code 1`, `killed by SIGKILL`, or `exit code 137 (SIGKILL)`.

    Args:
        code: negative for a signal, as in `subprocess`; None if the process still exists.
    """
    if code is None or 0 <= code <= SIGNALLED:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code} ({signal.Signals(code - SIGNALLED).name})"
    return f"exit code {code}"

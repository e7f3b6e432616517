"""Code blocks in Markdown that is not complete.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterable


def open_fence(fences: Iterable[str]) -> str:
    """Return the fence that would close the code block at the end of a text; empty if none is open.

    Args:
        fences: runs of backticks or tildes that begin a line of the text, in order.
    """
    fence = ""
    for found in fences:
        if not fence:
            fence = found
        elif found.startswith(fence):
            fence = ""
    return fence

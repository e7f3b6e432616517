"""Follow the worker's log while the library runs: the library has no progress callback."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_SECONDS = 0.2
LINES = 4000
"""Lines of a log that are kept for the translation of an error."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE_END = re.compile(r"[\r\n]")
"""A line feed, or the carriage return of a progress bar."""


@contextmanager
def tee_log(on_line: Callable[[str], None], kept: deque[str] | None = None) -> Iterator[None]:
    """Call `on_line`, from a thread, with every line printed inside the block, without colour codes.

    Args:
        kept: Receives the lines too, for the translation of an error.
    """

    def on_each(line: str) -> None:
        if kept is not None:
            kept.append(line)
        on_line(line)

    ended, start = threading.Event(), os.fstat(2).st_size
    thread = threading.Thread(target=_follow, args=(on_each, start, ended), daemon=True, name="tee log")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)


def _follow(on_line: Callable[[str], None], start: int, ended: threading.Event) -> None:
    # The log may not be a regular file, and the system may not have /proc.
    with suppress(OSError), Path("/proc/self/fd/2").open("rb") as log:
        log.seek(start)
        rest, last = "", False
        while not last:
            last = ended.wait(POLL_SECONDS)
            *lines, rest = _LINE_END.split(rest + log.read().decode(errors="replace"))
            for line in lines:
                on_line(_COLOUR.sub("", line))

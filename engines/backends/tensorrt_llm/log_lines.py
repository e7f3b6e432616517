"""What is printed while the library works, read from the log it is printed into: there is no callback."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.2
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE_END = re.compile(r"[\r\n]")
"""Progress bars end their lines with a carriage return."""


@contextmanager
def tee_log(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell`, from a thread, with every line that is printed within the block, colours aside."""
    ended, start = threading.Event(), os.fstat(2).st_size
    thread = threading.Thread(target=_follow, args=(tell, start, ended), daemon=True, name="log lines")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)


def _follow(tell: Callable[[str], None], start: int, ended: threading.Event) -> None:
    # The log may be no regular file, and a system may have no /proc.
    with suppress(OSError), Path("/proc/self/fd/2").open("rb") as log:
        log.seek(start)
        rest, last = "", False
        while not last:
            last = ended.wait(LOOK_SECONDS)
            *lines, rest = _LINE_END.split(rest + log.read().decode(errors="replace"))
            for line in lines:
                tell(_COLOUR.sub("", line))

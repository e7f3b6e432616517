"""The stage lines of an engine build, read from the log they are printed into: there is no callback.

The terminal form is `Loading Model: [2/3]<TAB>Building TRT-LLM engine`, with ANSI colours in between.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.backends.base import Report

LOOK_SECONDS = 0.2
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STAGE = re.compile(r"Loading Model:\s*\[(\d+)/(\d+)\]\s*(\S[^\n]*)")
_TOTAL = re.compile(r"Total (?:latency|time of building)[^\n]*")


def told(text: str) -> Iterator[tuple[int, int, str]]:
    """Stages in a piece of log: number, of how many, label. A remark has the number 0."""
    plain = _COLOUR.sub("", text)
    for found in _STAGE.finditer(plain):
        yield int(found[1]), int(found[2]), found[3].strip()
    for found in _TOTAL.finditer(plain):
        yield 0, 0, found[0].strip()


@contextmanager
def build_lines(report: Report) -> Iterator[None]:
    """Turn the lines that are printed within the block into progress."""
    ended = threading.Event()
    thread = threading.Thread(target=_follow, args=(report, ended), daemon=True, name="build lines")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)


def _follow(report: Report, ended: threading.Event) -> None:
    with suppress(OSError):  # the log is no regular file, or this system has no /proc
        start = os.fstat(2).st_size
        with Path("/proc/self/fd/2").open("rb") as log:
            log.seek(start)
            rest, last = "", False
            while not last:
                last = ended.wait(LOOK_SECONDS)
                *lines, rest = (rest + log.read().decode(errors="replace")).split("\n")
                _tell(report, "\n".join(lines))


def _tell(report: Report, text: str) -> None:
    for number, of, label in told(text):
        report.log(label)
        if number:
            report.progress(number - 1, of, "steps")

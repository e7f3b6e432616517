"""What is left of an exception that ended the app: a log with its details, and a plain message."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from textwrap import shorten

from rich.console import Console, RenderableType

from app.terminal_text import displayable
from engines.worker.log_files import log_file, prune_logs

WORDS = """\
trt-playground ended because of an error: {what}

The conversation and the text in the prompt are kept. To continue:
  trt-playground --continue
{where}"""


def write_crash_log(folder: Path, details: str) -> Path | None:
    """Append the details of an error to this app's crash log; the newest ten logs are kept.

    Returns:
        The log; None if it cannot be written.
    """
    path = log_file(folder, "crash")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prune_logs(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n{details}\n")
    except OSError:
        return None
    return path


def crash_message(details: str, log: Path | None) -> str:
    """Return what the terminal shows: the error in a line, how to continue, and where the details are."""
    lines = [line for line in details.splitlines() if line.strip()]
    what = shorten(displayable(lines[-1]), 300, placeholder=" …") if lines else "unknown"
    where = f"Details, for a bug report: {log}" if log else f"Details:\n{details}"
    return WORDS.format(what=what, where=displayable(where))


def as_text(*renderables: RenderableType) -> str:
    """Return what Rich would print, without styles."""
    console = Console(file=io.StringIO(), width=120, no_color=True, force_terminal=False)
    for renderable in renderables:
        console.print(renderable, markup=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()

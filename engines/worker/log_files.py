"""Names of the workers' logs, and how many of them are kept."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

LOGS_KEPT = 10
"""Of each kind."""
_OWN_LOG = re.compile(r"(?P<kind>.+)-(?P<pid>\d+)\.log")


def log_file(folder: Path, kind: str) -> Path:
    """Return the log of this app's workers of a kind, such as `left` or `left-build`.

    Its name has the app's process id: two apps do not write to the same log.
    """
    return folder / f"{kind}-{os.getpid()}.log"


def append_log(path: Path, text: str) -> None:
    """Append a text, such as a traceback of the app; a log that cannot be written is left as it is."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"{text.rstrip()}\n")


def last_lines(path: Path, lines: int, limit: int) -> list[str]:
    """Return the last lines of a log, of its last `limit` bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - limit))
        return log.read(limit).decode("utf-8", errors="replace").splitlines()[-lines:]


def newest_logs(folder: Path) -> list[Path]:
    """Return the newest log of every kind, oldest first."""
    logs = {_kind(path.name): path for path in sorted(folder.glob("*.log"), key=_changed)}
    return sorted(logs.values(), key=_changed)


def set_aside(path: Path) -> Path:
    """Return the name of a log that has grown too long."""
    return path.with_name(path.name + ".old")


def prune_logs(path: Path) -> None:
    """Delete the oldest logs of the same kind, except those of apps that still run.

    Args:
        path: the log that is being opened; one without a process id in its name has no others of its kind.
    """
    if _OWN_LOG.fullmatch(path.name) is None:
        return
    kind = _kind(path.name)
    alike = [one for one in path.parent.glob("*.log") if one != path and _kind(one.name) == kind]
    alike.sort(key=_changed, reverse=True)
    for old in alike[LOGS_KEPT - 1 :]:
        if not _is_running(old):
            for file in (old, set_aside(old)):
                with contextlib.suppress(OSError):
                    file.unlink()


def _kind(name: str) -> str:
    """Return `left` for `left-123.log`, and for the `left.log` of an earlier version."""
    found = _OWN_LOG.fullmatch(name)
    return found["kind"] if found else name.removesuffix(".log")


def _changed(path: Path) -> float:
    """Return the time of the last change; 0 for a file that another app has just deleted."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_running(log: Path) -> bool:
    """Return whether the app that a log belongs to still runs, as far as can be seen."""
    found = _OWN_LOG.fullmatch(log.name)
    if found is None:
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except PermissionError:  # another user's process: the number was used again
        return True
    except (OSError, OverflowError):
        return False
    return True

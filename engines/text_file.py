"""Read text files that the user named, with errors that say what is wrong and what to do."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from engines.regular_file import read_start


class TextFileError(Exception):
    """A file cannot be used as text. The message says why and what to do."""


def read_text_file(path: str, max_bytes: int) -> str:
    """Return the contents of a UTF-8 text file. Blocking: do not call it on an event loop.

    Args:
        path: As the user wrote it; `~` is expanded.
        max_bytes: Largest accepted size, a multiple of 1 MiB.

    Raises:
        TextFileError: The file is missing, not readable, too large, empty or not text.
    """
    try:
        data = _read(Path(path).expanduser(), max_bytes)
    except OSError as error:
        raise TextFileError(_os_error_message(error)) from error
    except (RuntimeError, ValueError) as error:  # unknown home folder, or a null byte in the path
        raise TextFileError(f"It cannot be read: {error}.") from error
    # Guessing another encoding could show different characters than the author wrote.
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextFileError(
            "The file is not valid UTF-8. Save it as UTF-8, or choose another file."
        ) from error
    if "\0" in text:
        raise TextFileError("It is a binary file. Choose a text file.")
    if not text.strip():
        raise TextFileError("It is empty. Choose another file.")
    return text


def _read(file: Path, max_bytes: int) -> bytes:
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise TextFileError("It is a folder. Choose a file in it.")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe can block, and a device may never end
        raise TextFileError("It is not a regular file. Choose a text file.")
    data = read_start(file, max_bytes + 1)
    if len(data) > max_bytes:
        raise TextFileError(
            f"It is larger than {max_bytes >> 20} MiB. Choose a smaller file, or only the part you need."
        )
    return data


def _os_error_message(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "There is no such file."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Permission denied. Choose another file."
    return f"It cannot be read: {error.strerror or error}."

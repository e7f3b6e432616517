"""Reading a file that somebody named as a text, with words for what is none."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


class TextFileError(Exception):
    """A file cannot be used as text; the message says why, and what to do."""


def read_text_file(path: str, largest: int) -> str:
    """The text of a file in UTF-8; never on an event loop. `~` is the home folder.

    Args:
        path: As it was written.
        largest: Bytes, in whole MiB: a larger file is refused.

    Raises:
        TextFileError: there is none, it is too large, or it is no text.
    """
    try:
        data = _read(Path(path).expanduser(), largest)
    except OSError as error:
        raise TextFileError(_words(error)) from error
    except (RuntimeError, ValueError) as error:  # no such home, or a path that can be none
        raise TextFileError(f"It cannot be read: {error}.") from error
    # Other encodings would give other letters than the author's.
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextFileError("It is no text in UTF-8. Save it as UTF-8, or choose another.") from error
    if "\0" in text:
        raise TextFileError("It is a binary file. Choose a text file.")
    if not text.strip():
        raise TextFileError("It is empty. Choose another.")
    return text


def _read(file: Path, largest: int) -> bytes:
    found = file.stat()
    if stat.S_ISDIR(found.st_mode):
        raise TextFileError("It is a folder. Choose a file in it.")
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device never ends
        raise TextFileError("It is no regular file. Choose a text file.")
    with file.open("rb") as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        raise TextFileError(
            f"It is larger than {largest >> 20} MiB. Choose a smaller one, or only the part that matters."
        )
    return data


def _words(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "There is no such file."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "You may not read it. Choose another."
    return f"It cannot be read: {error.strerror or error}."

"""A text that goes with a prompt: a file, or what was pasted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.units import count_text
from engines.text_file import TextFileError, read_text_file

LARGEST = 1 << 20
"""Bytes: more is past every context."""
LONG_LINES, LONG_CHARACTERS = 10, 1000
"""A longer paste would fill the box, and is shown above it instead."""
BOX_CHARACTERS = 50_000
"""More would make the box slow."""


class AttachmentError(Exception):
    """A file cannot be attached; the message says why, and what to do."""


@dataclass(frozen=True)
class Attachment:
    """A text and where it is from."""

    name: str
    """The file's; of a pasted text, empty."""
    text: str

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.text.count("\n") + (not self.text.endswith("\n"))

    @property
    def title(self) -> str:
        """`notes.txt, 212 lines`."""
        return f"{self.name or 'pasted'}, {count_text(self.lines)} line{'' if self.lines == 1 else 's'}"

    @property
    def can_be_text(self) -> bool:
        """Whether it may go into the box: it was pasted, and is not so long that the box would be slow."""
        return not self.name and len(self.text) <= BOX_CHARACTERS

    @property
    def block(self) -> str:
        """As the engine gets it: fenced, so that its own Markdown ends where it ends."""
        return _block(self)


def with_attachments(prompt: str, attachments: Iterable[Attachment]) -> str:
    """A prompt as the engine gets it: what it is about comes first, and the question last."""
    return "\n\n".join([*(one.block for one in attachments), *([prompt] if prompt else [])])


@lru_cache(maxsize=32)  # the whole conversation is put together again for each count
def _block(one: Attachment) -> str:
    longest = max(map(len, re.findall("`+", one.text)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if one.text.endswith("\n") else "\n"
    return f"{one.name or 'Pasted text'}:\n{fence}\n{one.text}{end}{fence}"


def is_long(text: str) -> bool:
    """Whether a paste is too long for the box."""
    return len(text) > LONG_CHARACTERS or len(text.splitlines()) > LONG_LINES


def pasted(text: str) -> Attachment:
    """Return pasted text as an attachment."""
    return Attachment("", _lines_of_unix(text))


def read_attachment(path: str) -> Attachment:
    """Read a text file. Not for the event loop.

    Raises:
        AttachmentError: the file does not exist, is too large, or is not text.
    """
    try:
        text = read_text_file(path, LARGEST)
    except TextFileError as error:
        raise AttachmentError(str(error)) from error
    return Attachment(_name(Path(path)), _lines_of_unix(text))


def _name(file: Path) -> str:
    """Return the name in one line of valid UTF-8."""
    return " ".join(file.name.encode("utf-8", "replace").decode().split())


def _lines_of_unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

"""Text from models, checkpoints and files, made safe to print."""

from __future__ import annotations

_CODES = (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
_REPLACED = {code: "�" for code in _CODES if chr(code) not in "\n\t"}
"""C0 and C1 control characters, which a terminal would interpret, and halves of surrogate pairs, which cannot
be written: Python has them in the names of files that are not valid UTF-8."""


def displayable(text: str) -> str:
    """Return the text with every control character but newline and tab replaced."""
    return text.translate(_REPLACED)

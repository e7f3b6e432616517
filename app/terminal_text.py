"""Text from models, checkpoints and files, made safe to print."""

from __future__ import annotations

_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""C0 and C1 control characters, which a terminal would interpret."""


def displayable(text: str) -> str:
    """Return the text with every control character but newline and tab replaced."""
    return text.translate(_CONTROL)

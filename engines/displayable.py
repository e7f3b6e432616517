"""Text of models, checkpoints, files and servers, made safe to show: here is decided what is drawn."""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\ufffd"
"""Shown in the place of each character that is not drawn."""
_CATEGORIES = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")
"""Control, format (also bidi), halves of surrogate pairs, unassigned, line and paragraph separators."""
_SIGNS = (*range(0x600, 0x606), 0x6DD, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)
"""Format characters that have a shape: they enclose numbers in Arabic and Kaithi."""
_EMOJI = range(0x1F000, 0x1FB00)
"""Emoji that are newer than Python's Unicode tables are unassigned there."""
_FILLERS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0)
"""Letters and marks without a shape: with the format characters and `_TAGS`, what Unicode calls ignorable."""
_TAGS = range(0xE0000, 0xE1000)
"""Tags and variation selectors in which invisible text can be hidden."""
_STRAY = re.compile(
    "(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]"
    "|(?<![^\x00-\x7f\u200c\u200d\ufe00-\ufe0f])(?<![0-9#*])[\ufe00-\ufe0f]"
)
"""A joiner or variation selector with nothing to act on: after another one, an ASCII character or nothing.

Elsewhere they belong to the text: emoji of several characters and Persian, Hindi and other scripts need them.
"""


class _Shown(dict[int, str | int]):
    """What is drawn for each character, filled as characters are met."""

    def __missing__(self, code: int) -> str | int:
        self[code] = shown = code if _is_drawn(code) else REPLACEMENT
        return shown


def _is_drawn(code: int) -> bool:
    if code in _SIGNS or code in (0x200C, 0x200D) or chr(code) in "\n\t":
        return True
    if code in _TAGS or code in _FILLERS:
        return False
    category = unicodedata.category(chr(code))
    return category not in _CATEGORIES or (category == "Cn" and code in _EMOJI)


_SHOWN = _Shown()


def displayable(text: str) -> str:
    """Return the text with every character replaced that a terminal obeys or that cannot be seen.

    These are control characters but newline and tab, bidi controls, line and paragraph separators, other
    invisible and unassigned characters, and halves of surrogate pairs, which cannot be written: Python has
    them in the names of files that are not valid UTF-8. The text keeps its length, and may be
    replaced piece by piece, unless a piece begins with a joiner.
    """
    if text.isascii() and text.isprintable():
        return text
    return _STRAY.sub(REPLACEMENT, text.translate(_SHOWN))

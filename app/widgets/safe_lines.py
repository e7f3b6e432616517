"""The last guard before the terminal: no line of any screen has a character that a terminal obeys."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from engines.displayable import REPLACEMENT, displayable


class SafeLines(LineFilter):
    """The last guard of every line that is drawn: no widget can send a terminal what `displayable` replaces.

    Widgets pass text through `displayable` before they lay it out, and so show where a character was. What
    one forgets is replaced here, in as many cells as the layout has counted for it: none for most characters.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with safe texts."""
        if all(segment.control or _safe(segment.text) == segment.text for segment in segments):
            return segments
        return [one if one.control else Segment(_safe(one.text), one.style) for one in segments]


@lru_cache(4096)
def _safe(text: str) -> str:
    """Return the text of one line, at most as wide as before."""
    shown = displayable(text).replace("\n", REPLACEMENT).replace("\t", REPLACEMENT)
    if shown == text:
        return text
    return "".join(new if old == new else new * cell_len(old) for old, new in zip(text, shown, strict=True))

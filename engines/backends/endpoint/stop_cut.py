"""Take a stop string off an answer: some servers end the answer with it, others before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engines.backends.remote import Piece


class StopCut:
    """Passes pieces on without the stop string; what may be its beginning is held back."""

    def __init__(self, stop: Sequence[str], take: Callable[[Piece], None]) -> None:
        self._stop, self._take = tuple(filter(None, stop)), take
        self._held: Piece | None = None
        self._found = False

    def take(self, piece: Piece) -> None:
        """Take the next piece."""
        text = (self._held.text if self._held else "") + piece.text
        self._held = None
        places = [place for one in self._stop if (place := text.find(one)) >= 0]
        if self._found:
            shown = ""
        elif places:
            shown, self._found = text[: min(places)], True
        else:
            shown = text[: len(text) - self._partial(text)]
            if shown != text:
                self._held = Piece(piece.t_ns, text[len(shown) :])
        if shown or piece.thought or piece.tokens:
            self._take(replace(piece, text=shown))

    def flush(self) -> None:
        """Pass on what is held back: the answer has ended."""
        if self._held:
            self._take(self._held)
            self._held = None

    def _partial(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a stop string."""
        starts = (
            length for one in self._stop for length in range(1, len(one)) if text.endswith(one[:length])
        )
        return max(starts, default=0)

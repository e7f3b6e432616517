"""A part of the Compare screen that shows one token of an answer."""

from __future__ import annotations

from textual.widgets import Static

from engines.compare.comparison import ComparedAnswer


class TokenView(Static):
    """Draws itself again when its width changes."""

    _shown: tuple[ComparedAnswer, int, int] | None = None

    def on_resize(self) -> None:
        """Draw in the new width."""
        if self._shown:
            self.draw(*self._shown)

    def show(self, answer: ComparedAnswer, token: int, chosen: int) -> None:
        """Show a token of the answer.

        Args:
            chosen: index of the engine that is chosen.
        """
        self._shown = answer, token, chosen
        self.draw(answer, token, chosen)

    def draw(self, answer: ComparedAnswer, token: int, chosen: int) -> None:
        """Draw what `show` was given."""
        raise NotImplementedError

"""The clock of a replay: which turn is shown, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

SPEEDS = (0.5, 1.0, 2.0, 4.0)


class Playback:
    """A position in a row of turns, which advances with time unless it is paused."""

    def __init__(self, turns: Sequence[tuple[float, float]]) -> None:
        """Begin with the first turn.

        Args:
            turns: of each turn the seconds that it takes, and those until the next one; at least one turn.
        """
        self._turns = turns
        self.index = 0
        self.seconds = 0.0
        """Since the prompt of the turn was sent, in recorded time."""
        self.speed = 1.0
        self.is_paused = False

    @property
    def has_ended(self) -> bool:
        """Whether the last turn is complete."""
        return self.index == len(self._turns) - 1 and self.seconds >= self._turns[-1][0]

    def advance(self, elapsed: float) -> None:
        """Advance by `elapsed` seconds of real time. At the end it stays on the last turn."""
        if self.is_paused:
            return
        self.seconds += elapsed * self.speed
        length, pause = self._turns[self.index]
        if self.seconds >= length + pause and self.index < len(self._turns) - 1:
            self.index, self.seconds = self.index + 1, 0.0

    def toggle_pause(self) -> None:
        """Pause, or go on; at the end begin again."""
        if self.has_ended:
            self.index, self.seconds, self.is_paused = 0, 0.0, False
        else:
            self.is_paused = not self.is_paused

    def step(self, turns: int) -> None:
        """Go to the beginning of a later or earlier turn; after the last one is the end of the last."""
        wanted = self.index + turns
        if wanted >= len(self._turns):
            self.index, self.seconds = len(self._turns) - 1, self._turns[-1][0]
        else:
            self.index, self.seconds = max(0, wanted), 0.0

    def change_speed(self, steps: int) -> None:
        """Play faster or slower, by a number of steps in SPEEDS."""
        place = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[min(max(0, place), len(SPEEDS) - 1)]

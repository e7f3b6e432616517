"""Decode speed of one side over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
"""How much history the panels show."""
SAMPLES = int(WINDOW_SECONDS * 4)
"""Panels draw at most four times a second, so more samples would not be visible."""


@dataclass
class RateSeries:
    """Tok/s of one side over time."""

    samples: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def add(self, now: float, rate: float) -> None:
        """Append a sample; `now` in seconds since the app started, `rate` in tok/s."""
        self.samples.append((now, rate))

    def window(self, now: float) -> tuple[tuple[float, float], ...]:
        """Return the samples of the last WINDOW_SECONDS, oldest first."""
        return tuple(sample for sample in self.samples if sample[0] >= now - WINDOW_SECONDS)

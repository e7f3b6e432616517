"""What an answer read and spent of its device, per token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AnswerCost:
    """Cost of one answer. None is what was not measured."""

    rate: float | None
    """Decode tok/s."""
    bytes_per_token: int
    """Read by each device for a token in the middle of the answer: active weights and the KV cache so far."""
    joules: float | None
    """Per token: gross, from the prompt to the last token, other use of its GPUs included."""
    no_joules: str = ""
    """Why `joules` is None: one of the constants of cost_counter."""

    def mbu(self, bandwidth: float | None) -> float | None:
        """Return the model bandwidth utilisation: bytes per token · tok/s / bandwidth; 1.0 is all of it."""
        if not (bandwidth and self.rate):
            return None
        return self.bytes_per_token * self.rate / bandwidth

    def ceiling(self, bandwidth: float | None) -> float | None:
        """Return the decode tok/s that the bandwidth allows."""
        return bandwidth / self.bytes_per_token if bandwidth and self.bytes_per_token else None

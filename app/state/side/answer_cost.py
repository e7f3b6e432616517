"""What an answer read and spent of its device, per token."""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.estimate.estimate import decode_ceiling


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
    cache: int | None = None
    """Bytes of the device's last-level cache; None if unknown."""

    def mbu(self, bandwidth: float | None) -> float | None:
        """Return the model bandwidth utilisation: bytes per token · tok/s / bandwidth; 1.0 is all of it."""
        if not (bandwidth and self.rate):
            return None
        return self.bytes_per_token * self.rate / bandwidth

    def ceiling(self, bandwidth: float | None) -> float | None:
        """Return the decode tok/s that the bandwidth allows; None where something else bounds them."""
        return decode_ceiling(self.bytes_per_token, bandwidth, self.cache)

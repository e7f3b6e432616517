"""Compute the speed of one answer from time stamps, with the metrics of AIPerf and vLLM.

Stamps are nanoseconds of one monotonic clock, taken when the backend yields a token. A metric that the
stamps do not define is None. Sources: AIPerf's metrics reference (github.com/ai-dynamo/aiperf) and
vLLM's benchmark (`vllm bench serve`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import ceil, floor

NANOSECONDS = 1e9


@dataclass(frozen=True)
class Timing:
    """Metrics of one request. Times are seconds, rates are tokens per second."""

    tokens: int = 0
    """Number of output tokens."""
    ttft: float | None = None
    """Time to first token: first chunk − request start, queueing and prefill included."""
    tpot: float | None = None
    """Time per output token: (last − first chunk) / (tokens − tokens in the first chunk).

    AIPerf calls this number ITL, vLLM TPOT. None for an answer of one chunk."""
    decode_rate: float | None = None
    """Decode tok/s = 1 / TPOT, without prefill and the tokens of the first chunk."""
    itl_p50: float | None = None
    """Median time between consecutive chunks (vLLM's ITL, AIPerf's inter-chunk latency)."""
    itl_p95: float | None = None
    prefill_rate: float | None = None
    """Prefill tok/s = (prompt − cached tokens) / TTFT. None if every token was cached."""
    total: float | None = None
    """Request latency: last chunk − request start."""
    ttfo: float | None = None
    """AIPerf's TTFO: time of the first token of the answer, after any thought − request start."""


def timing(
    start_ns: int,
    token_ns: Sequence[int],
    prompt_tokens: int = 0,
    cached_tokens: int | None = None,
    first_output: int | None = None,
    tokens: int | None = None,
) -> Timing:
    """Return the metrics of one answer, which may still be running.

    Args:
        start_ns: when the request started.
        token_ns: when each output token was yielded; tokens of one chunk have the same stamp.
        prompt_tokens: tokens of the prompt.
        cached_tokens: prompt tokens found in the KV cache; None counts as 0.
        first_output: place of the first token that is no thought, from 0; None while there is none.
        tokens: length of the answer where the stamps are those of pieces of text, not of tokens: the first
            piece then counts as one token.

    Returns:
        The metrics; only the number of tokens if the stamps are not in order.
    """
    if not token_ns or not _in_order(start_ns, token_ns):
        return Timing(tokens=len(token_ns) if tokens is None else tokens)
    first, last = token_ns[0], token_ns[-1]
    ttft = (first - start_ns) / NANOSECONDS
    later = len(token_ns) - bisect_right(token_ns, first) if tokens is None else tokens - 1
    tpot = (last - first) / NANOSECONDS / later if later > 0 and last > first else None
    gaps = sorted((b - a) / NANOSECONDS for a, b in pairwise(token_ns) if b > a)
    output = None
    if first_output is not None and first_output < len(token_ns):
        output = token_ns[first_output]
    computed = prompt_tokens - (cached_tokens or 0)
    return Timing(
        tokens=len(token_ns) if tokens is None else tokens,
        ttft=ttft,
        tpot=tpot,
        decode_rate=1 / tpot if tpot else None,
        itl_p50=percentile(gaps, 50) if gaps else None,
        itl_p95=percentile(gaps, 95) if gaps else None,
        prefill_rate=computed / ttft if computed > 0 and ttft > 0 else None,
        total=(last - start_ns) / NANOSECONDS,
        ttfo=None if output is None else (output - start_ns) / NANOSECONDS,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the percentile of sorted values, with linear interpolation as numpy's default.

    Raises:
        ValueError: there are no values, or `percent` is not between 0 and 100.
    """
    if not ordered or not 0 <= percent <= 100:
        raise ValueError(f"no {percent} % of {len(ordered)} values")
    place = (len(ordered) - 1) * percent / 100
    low, high = ordered[floor(place)], ordered[ceil(place)]
    # Equal neighbours may both be infinite: their difference would be NaN.
    return low if low == high else low + (high - low) * (place - floor(place))


def _in_order(start_ns: int, token_ns: Sequence[int]) -> bool:
    return start_ns <= token_ns[0] and all(a <= b for a, b in pairwise(token_ns))


BATCH_NS = 100_000_000
"""Tokens of a fast engine arrive in batches: a pause of this length between them is no stall."""


class RateWindow:
    """Live tok/s over the newest tokens: those of one second, and at least some.

    Stamps and `now` must be of one clock: on one machine all processes share the monotonic clock.
    """

    def __init__(self, window_seconds: float = 1.0, least: int = 8) -> None:
        """Create it.

        Args:
            window_seconds: the time that the rate is averaged over.
            least: number of tokens that it is averaged over if they took longer.
        """
        self._window = round(window_seconds * NANOSECONDS)
        self._least = least
        self._stamps: deque[int] = deque()
        self._received = 0
        """When the newest tokens reached this process."""

    def add(self, token_ns: Iterable[int], received_ns: int) -> None:
        """Add tokens.

        Args:
            token_ns: when they were generated, oldest first.
            received_ns: when they were received. A busy screen gets them late, which is not a stall.
        """
        self._received = received_ns
        stamps = self._stamps
        for stamp in token_ns:
            stamps.append(stamp)
            while len(stamps) > self._least + 1 and stamps[0] < stamp - self._window:
                stamps.popleft()

    def rate(self, now_ns: int) -> float:
        """Return the tokens per second between the oldest and the newest stamp.

        The tokens of the oldest stamp do not count: before them there may be the prefill. If no token was
        received for twice the mean gap, and for longer than BATCH_NS, the rate is that of a window which ends
        now, and falls to 0.
        """
        if not self._stamps:
            return 0.0
        first, last = self._stamps[0], self._stamps[-1]
        later = len(self._stamps) - sum(1 for _ in takewhile(lambda stamp: stamp <= first, self._stamps))
        if not later:
            return 0.0
        gap, silent = (last - first) / later, now_ns - self._received
        if silent <= max(2 * gap, BATCH_NS):
            return NANOSECONDS / gap
        # Not longer than the answer: it would divide the tokens of a short one by a whole second.
        window = max(min(self._window, last - first + silent), self._least * gap)
        recent = sum(stamp > last + silent - window for stamp in self._stamps)
        return min(recent / window, 1 / gap) * NANOSECONDS

    def newest(self) -> float:
        """Return the rate when the newest tokens were received."""
        return self.rate(self._received)

    def clear(self) -> None:
        """Start a new answer."""
        self._stamps.clear()

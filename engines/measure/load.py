"""The requests of a load test, and its figures, with the names of AIPerf and vLLM's benchmark.

Stamps are nanoseconds of the worker's monotonic clock: an arrival is when the library got the request, a
token when the library yielded it. Latencies are of requests, not pooled over tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engines.measure.timing import NANOSECONDS, RateWindow, Timing, percentile, timing
from engines.worker.protocol import InFlight, KVUsage, RequestState


@dataclass
class LoadRequest:
    """One request of a load test, so far."""

    number: int
    """From 0, in the order of arrival."""
    user: int
    prompt_tokens: int
    """0 while a server has not reported it."""
    arrived_ns: int
    token_ns: list[int] = field(default_factory=list)
    reason: str = ""
    """Finish reason; empty while it waits or runs."""
    reported_tokens: int | None = None
    """Of the answer, after its end, where `token_ns` are the stamps of pieces of text."""
    estimated: bool = False
    """Whether the number of tokens is not counted."""

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer."""
        return len(self.token_ns) if self.reported_tokens is None else self.reported_tokens

    def timing(self) -> Timing:
        """Return its metrics so far."""
        return timing(self.arrived_ns, self.token_ns, self.prompt_tokens, tokens=self.reported_tokens)

    def blocks(self, block_tokens: int) -> int:
        """Return the KV blocks that its tokens take, computed: libraries report no blocks by request.

        The last token was sampled, and its keys and values are computed in the next step. 0 before the first
        token, when it may wait and hold none, after the end, and while the length of the prompt is unknown.
        """
        if self.reason or not self.token_ns or not self.prompt_tokens:
            return 0
        return -(-(self.prompt_tokens + len(self.token_ns) - 1) // block_tokens)


@dataclass(frozen=True)
class LoadFigures:
    """Figures of a load test, which may still be running. Times are seconds, rates are tokens per second."""

    users: int
    completed: int
    """Requests that ended by themselves: by an end-of-sequence token, max_tokens or a full context window."""
    tokens: int
    """Output tokens of all requests, those that were stopped included."""
    seconds: float
    """From the first arrival to the last token."""
    estimated: bool = False
    """Whether a server did not count all of `tokens`; the rates then are estimates too."""
    total_rate: float | None = None
    """Output token throughput: `tokens` / `seconds`."""
    user_rate: float | None = None
    """Median over requests of 1 / TPOT, what one user sees after the first token."""
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    tpot_p50: float | None = None
    tpot_p95: float | None = None
    latency_p50: float | None = None
    """Request latency of completed requests: last token − arrival."""
    latency_p95: float | None = None
    most_running: int | None = None
    """Largest batch that the library reported."""
    most_waiting: int | None = None
    most_blocks: int | None = None
    """Most KV blocks in use at the times that the library was asked, about ten times a second."""
    total_blocks: int | None = None


class LoadRecord:
    """Collects the events of one load test."""

    def __init__(self, users: int) -> None:
        self.users = users
        self.requests: dict[int, LoadRequest] = {}
        """By number."""
        self.running: int | None = None
        """In the batch of the last step; None if the library does not report it."""
        self.waiting: int | None = None
        self.kv: KVUsage | None = None
        self._most_running: int | None = None
        self._most_waiting: int | None = None
        self._most_blocks: int | None = None
        self._rate = RateWindow(least=1)

    def take(self, event: InFlight, received_ns: int) -> None:
        """Add an event; `received_ns` is this process's monotonic clock."""
        for state in event.requests:
            self._add(state)
        stamps = sorted(stamp for state in event.requests for stamp in state.token_ns)
        self._rate.add(stamps, received_ns)
        self.running, self.waiting, self.kv = event.running, event.waiting, event.kv or self.kv
        self._most_running = _larger(self._most_running, event.running)
        self._most_waiting = _larger(self._most_waiting, event.waiting)
        self._most_blocks = _larger(self._most_blocks, event.kv.used_blocks if event.kv else None)

    def _add(self, state: RequestState) -> None:
        new = LoadRequest(state.number, state.user, state.prompt_tokens, state.arrived_ns)
        request = self.requests.setdefault(state.number, new)
        request.token_ns += state.token_ns
        request.prompt_tokens = state.prompt_tokens or request.prompt_tokens
        request.reason, request.reported_tokens = state.reason, state.tokens
        request.estimated = state.estimated

    def rate(self, now_ns: int) -> float:
        """Return the live tok/s of all users over about a second."""
        return self._rate.rate(now_ns)

    def current(self) -> list[LoadRequest | None]:
        """Return the newest request of each user; None for one that has sent none."""
        newest: list[LoadRequest | None] = [None] * self.users
        for request in self.requests.values():  # in the order of arrival
            newest[request.user] = request
        return newest

    def figures(self) -> LoadFigures:
        """Return the figures so far."""
        return load_figures(
            self.users,
            self.requests.values(),
            most_running=self._most_running,
            most_waiting=self._most_waiting,
            most_blocks=self._most_blocks,
            total_blocks=self.kv.total_blocks if self.kv else None,
        )


def load_figures(users: int, requests: Iterable[LoadRequest], **reported: int | None) -> LoadFigures:
    """Return the figures of the requests.

    Args:
        reported: fields of LoadFigures that come from the library: `most_running` and those after it.
    """
    found = list(requests)
    answered = [one for one in found if one.token_ns]
    timings = [one.timing() for one in answered]
    completed = [one.reason not in ("", "stopped") for one in answered]
    tokens = sum(one.output_tokens for one in answered)
    seconds = 0.0
    if answered:
        first = min(one.arrived_ns for one in found)
        seconds = (max(one.token_ns[-1] for one in answered) - first) / NANOSECONDS
    ttft = sorted(one.ttft for one in timings if one.ttft is not None)
    tpot = sorted(one.tpot for one in timings if one.tpot)
    totals = (one.total for one, ended in zip(timings, completed, strict=True) if ended)
    latency = sorted(total for total in totals if total is not None)
    return LoadFigures(
        users=users,
        completed=sum(completed),
        tokens=tokens,
        seconds=seconds,
        estimated=any(one.estimated for one in answered),
        total_rate=tokens / seconds if seconds > 0 else None,
        user_rate=1 / percentile(tpot, 50) if tpot else None,
        ttft_p50=_percentile(ttft, 50),
        ttft_p95=_percentile(ttft, 95),
        tpot_p50=_percentile(tpot, 50),
        tpot_p95=_percentile(tpot, 95),
        latency_p50=_percentile(latency, 50),
        latency_p95=_percentile(latency, 95),
        **reported,
    )


def _percentile(ordered: Sequence[float], percent: float) -> float | None:
    return percentile(ordered, percent) if ordered else None


def _larger(most: int | None, new: int | None) -> int | None:
    if new is None:
        return most
    return new if most is None else max(most, new)

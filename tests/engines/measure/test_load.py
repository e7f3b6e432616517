"""The figures of a load test, compared with numpy's over the same stamps."""

from __future__ import annotations

import numpy as np
import pytest

from engines.measure.load import LoadRecord, LoadRequest, load_figures
from engines.worker.protocol import InFlight, KVUsage, RequestState

SECOND = 1_000_000_000


def test_figures_are_those_of_an_independent_computation() -> None:
    """Random requests of three users; each event has a part of the tokens."""
    random = np.random.default_rng(7)
    record, arrivals, stamps = LoadRecord(3), [], []
    for number in range(40):
        arrived = int(random.integers(0, 10 * SECOND))
        times = arrived + np.cumsum(random.integers(1, SECOND, int(random.integers(2, 90))))
        arrivals.append(arrived)
        stamps.append(times)
        for part in np.array_split(times, 3):
            reason = "length" if part[-1:] == times[-1:] else ""
            state = RequestState(number, number % 3, 7, arrived, tuple(map(int, part)), reason)
            record.take(InFlight(1, 0, (state,)), 0)
    ttft = [(times[0] - start) / SECOND for start, times in zip(arrivals, stamps, strict=True)]
    tpot = [(times[-1] - times[0]) / SECOND / (len(times) - 1) for times in stamps]
    latency = [(times[-1] - start) / SECOND for start, times in zip(arrivals, stamps, strict=True)]
    tokens = sum(map(len, stamps))
    seconds = (max(times[-1] for times in stamps) - min(arrivals)) / SECOND
    found = record.figures()
    assert (found.users, found.completed, found.tokens) == (3, 40, tokens)
    assert found.total_rate == pytest.approx(tokens / seconds)
    assert [found.ttft_p50, found.ttft_p95] == pytest.approx(list(np.percentile(ttft, [50, 95])))
    assert [found.tpot_p50, found.tpot_p95] == pytest.approx(list(np.percentile(tpot, [50, 95])))
    assert [found.latency_p50, found.latency_p95] == pytest.approx(list(np.percentile(latency, [50, 95])))
    assert found.user_rate == pytest.approx(1 / np.median(tpot))


def test_stopped_requests_count_as_tokens_but_not_as_completed() -> None:
    record = LoadRecord(2)
    ended = RequestState(0, 0, 4, 0, (SECOND, 2 * SECOND), "stop")
    cut = RequestState(1, 1, 4, 0, (SECOND, 4 * SECOND), "stopped")
    record.take(InFlight(1, 0, (ended, cut), running=2, waiting=0), 0)
    found = record.figures()
    assert (found.completed, found.tokens, found.seconds, found.total_rate) == (1, 4, 4.0, 1.0)
    assert found.latency_p50 == 2.0


def test_reported_figures_are_the_largest_and_unknown_ones_stay_unknown() -> None:
    record = LoadRecord(1)
    record.take(InFlight(1, 0, (), 3, 1, KVUsage(used_blocks=5, total_blocks=9)), 0)
    record.take(InFlight(1, 0, (), 1, 2), 0)
    found = record.figures()
    assert (found.most_running, found.most_waiting, found.most_blocks, found.total_blocks) == (3, 2, 5, 9)
    silent = LoadRecord(1)
    silent.take(InFlight(1, 0, ()), 0)
    assert silent.figures() == load_figures(
        1, [], most_running=None, most_waiting=None, most_blocks=None, total_blocks=None
    )
    assert silent.current() == [None]


def test_blocks_of_a_request_are_computed_from_its_tokens() -> None:
    """The newest token is not in the cache yet; a request that waits or has ended holds no block."""
    request = LoadRequest(0, 0, prompt_tokens=32, arrived_ns=0)
    assert request.blocks(32) == 0
    request.token_ns.append(1)
    assert request.blocks(32) == 1
    request.token_ns.append(2)
    assert request.blocks(32) == 2
    request.reason = "stop"
    assert request.blocks(32) == 0

"""Simulated users of a real engine: OpenVINO int8 on the demo checkpoint, in its own worker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.engine import ComparedEngine, opened
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.measure.load import LoadRecord
from engines.worker import protocol
from tests.doubles.fork_server import start_forked

PROMPTS = ("What is a KV cache?", "Tell me a long story about a fox.", "Hi")
FIXED = protocol.Sampling(max_tokens=48, ignore_eos=True)
LONG = protocol.Sampling(max_tokens=1_500, ignore_eos=True)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    return EngineStore(tmp_path_factory.mktemp("store"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(
    store: EngineStore, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ComparedEngine]:
    """One worker for all tests: each of them leaves it loaded."""
    spec = EngineSpec(str(CHECKPOINT), "openvino", "int8")
    log = tmp_path_factory.mktemp("log") / "worker.log"
    async with opened(spec, store, start_forked, log, lambda _: None) as found:
        await found.load()
        yield found


async def run(
    engine: ComparedEngine, command: protocol.LoadTest
) -> tuple[LoadRecord, list[protocol.InFlight], protocol.LoadTested]:
    """Run a load test; return its record, its events and how it ended."""
    record, events = LoadRecord(command.users), list[protocol.InFlight]()

    def take(event: protocol.Event) -> None:
        if isinstance(event, protocol.InFlight):
            record.take(event, time.monotonic_ns())
            events.append(event)

    return record, events, await engine.run_load(command, take)


async def test_users_share_the_batch_and_the_engine_answers_as_before(engine: ComparedEngine) -> None:
    """Requests enter while others run; blocks by request add up to what the library reports."""
    prompt = (await engine.tokenize("", ({"role": "user", "content": PROMPTS[0]},))).token_ids
    before = await engine.generate(prompt, 40)
    sampling = protocol.Sampling(max_tokens=120)
    record, events, ended = await run(engine, engine.load_test(5, 15, PROMPTS, sampling))
    requests = record.requests.values()
    assert not ended.stopped
    assert sorted(record.requests) == list(range(15))
    assert {one.reason for one in requests} <= {"stop", "length"}
    for user in range(5):
        own = [one for one in requests if one.user == user]
        assert own
        assert all(earlier.token_ns[-1] <= later.arrived_ns for earlier, later in pairwise(own))
    first = record.requests[5]
    assert any(one.arrived_ns < first.arrived_ns < one.token_ns[-1] for one in requests)
    figures = record.figures()
    assert (figures.completed, figures.tokens) == (15, sum(len(one.token_ns) for one in requests))
    assert figures.most_running == 5
    assert figures.ttft_p50
    assert figures.ttft_p95
    assert figures.ttft_p50 <= figures.ttft_p95
    check_blocks(record.users, events)
    assert (await engine.generate(prompt, 40)).token_ids == before.token_ids


def check_blocks(users: int, events: list[protocol.InFlight]) -> None:
    """While every user has a running request, computed blocks are the reported ones, up to the last step."""
    record, compared = LoadRecord(users), 0
    for event in events:
        record.take(event, 0)
        newest = [one for one in record.current() if one]
        if not event.kv or not event.kv.block_tokens or not all(one.token_ns for one in newest):
            continue
        if any(one.reason for one in newest):
            continue
        computed = sum(one.blocks(event.kv.block_tokens) for one in newest)
        assert event.kv.used_blocks is not None
        assert 0 <= event.kv.used_blocks - computed <= users
        compared += 1
    assert compared


async def test_a_small_cache_lets_requests_wait(engine: ComparedEngine) -> None:
    """All are answered in the end; no block is used that the cache does not have."""
    sampling = replace(FIXED, max_tokens=150)
    record, events, _ = await run(engine, engine.load_test(6, 6, PROMPTS, sampling, kv_tokens=1))
    figures = record.figures()
    assert figures.completed == 6
    assert figures.most_waiting
    assert figures.most_blocks == figures.total_blocks
    assert all(event.kv and event.kv.free_blocks is not None for event in events)


async def test_stop_ends_all_requests_at_once(engine: ComparedEngine) -> None:
    """Those that run and those that wait; the next load test starts with an empty cache."""
    command = engine.load_test(8, 80, PROMPTS, LONG)
    record = LoadRecord(8)
    async for event in engine._process.run(command):
        if isinstance(event, protocol.InFlight):
            record.take(event, 0)
            if len(record.requests) == 8 and all(one.token_ns for one in record.requests.values()):
                await engine._process.stop(command.id)
        last = event
    assert last == protocol.LoadTested(command.id, stopped=True)
    assert {one.reason for one in record.requests.values()} == {"stopped"}
    assert len(record.requests) == 8
    again, _, ended = await run(engine, engine.load_test(1, 1, PROMPTS, FIXED))
    assert not ended.stopped
    assert again.figures().completed == 1


async def test_what_cannot_be_tested_is_refused(engine: ComparedEngine) -> None:
    """Numbers out of range, no prompt, a prompt that is too long; the engine stays loaded."""
    long = "word " * 3_000
    cases = [
        (engine.load_test(0, 1, PROMPTS, FIXED), "bad-load-test"),
        (engine.load_test(33, 33, PROMPTS, FIXED), "bad-load-test"),
        (engine.load_test(2, 1, PROMPTS, FIXED), "bad-load-test"),
        (engine.load_test(1, 1, (), FIXED), "bad-load-test"),
        (engine.load_test(1, 1, (long,), FIXED), "context-full"),
        (engine.load_test(1, 1, PROMPTS, replace(FIXED, top_p=2.0)), "bad-sampling"),
    ]
    for command, code in cases:
        with pytest.raises(EngineError) as raised:
            await run(engine, command)
        assert raised.value.code == code
    record, _, _ = await run(engine, engine.load_test(1, 1, PROMPTS, FIXED))
    assert record.figures().completed == 1


async def test_an_engine_that_does_not_batch_refuses(store: EngineStore, tmp_path: Path) -> None:
    spec = EngineSpec(str(CHECKPOINT), "pytorch", "fp32")
    async with opened(spec, store, start_forked, tmp_path / "worker.log", lambda _: None) as engine:
        with pytest.raises(EngineError, match="one request at a time") as raised:
            await run(engine, engine.load_test(2, 2, PROMPTS, FIXED))
    assert raised.value.code == "unsupported"

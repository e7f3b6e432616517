"""Simulated users of a server, in a worker as the app starts it: llama.cpp's real one, and doubles."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise, product
from pathlib import Path

import pytest

from engines.backends.endpoint.backend import EndpointBackend
from engines.build.server import server_spec
from engines.build.store import EngineStore
from engines.compare.engine import ComparedEngine, opened
from engines.errors import EngineError
from engines.measure.load import LoadRecord, LoadRequest
from engines.worker import protocol
from tests.doubles.fork_server import start_forked
from tests.doubles.openai_server import OpenAIServer
from tests.engines.backends.endpoint.asking import connected
from tests.engines.backends.endpoint.llama_server import LlamaServer
from tests.engines.worker.helpers import eventually

PROMPTS = ("What is a KV cache?", "Hi")
FIXED = protocol.Sampling(max_tokens=32, ignore_eos=True)
LONG = protocol.Sampling(max_tokens=900, ignore_eos=True)


@asynccontextmanager
async def loaded(address: str, folder: Path) -> AsyncIterator[ComparedEngine]:
    """Yield a server as an engine, in a worker."""
    store = EngineStore(folder / "store")
    async with opened(
        server_spec(address), store, start_forked, folder / "worker.log", lambda _: None
    ) as engine:
        await engine.load()
        yield engine


async def run(
    engine: ComparedEngine, command: protocol.LoadTest, *, stop: bool = False
) -> tuple[LoadRecord, protocol.LoadTested]:
    """Run a load test; with `stop`, until all users have two tokens and the server counts their requests."""
    record, last = LoadRecord(command.users), None
    async for event in engine._process.run(command):
        last = event
        if isinstance(event, protocol.InFlight):
            record.take(event, time.monotonic_ns())
            running = [one for one in record.current() if one and len(one.token_ns) > 1]
            if stop and len(running) == event.running == command.users:
                await engine._process.stop(command.id)
    if isinstance(last, protocol.Error):
        raise EngineError(last.code, last.message, last.hint)
    assert isinstance(last, protocol.LoadTested)
    return record, last


def _overlap(one: LoadRequest, other: LoadRequest) -> bool:
    """Return whether each had a token before the other's last one."""
    if not (one.token_ns and other.token_ns):
        return False
    return max(one.token_ns[0], other.token_ns[0]) < min(one.token_ns[-1], other.token_ns[-1])


async def test_users_of_llama_cpp_are_counted_stopped_and_leave_nothing(tmp_path: Path) -> None:
    """Requests run together, a stop ends all of them on the server too, and it answers afterwards."""
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    server = LlamaServer(write_tiny_gguf(tmp_path / "tiny-F32.gguf"), slots=2)
    try:
        async with loaded(server.address, tmp_path) as engine:
            record, ended = await run(engine, engine.load_test(2, 6, PROMPTS, FIXED))
            requests = list(record.requests.values())
            assert not ended.stopped
            assert [len(one.token_ns) for one in requests] == [32] * 6
            assert {one.reason for one in requests} == {"length"}
            assert all(one.prompt_tokens for one in requests)
            for user in range(2):
                own = [one for one in requests if one.user == user]
                assert all(earlier.token_ns[-1] <= later.arrived_ns for earlier, later in pairwise(own))
            figures = record.figures()
            assert (figures.completed, figures.tokens, figures.estimated) == (6, 6 * 32, False)
            assert figures.ttft_p50
            assert figures.ttft_p95
            assert figures.user_rate
            assert figures.total_blocks is None

            stopped, ended = await run(engine, engine.load_test(2, 40, PROMPTS, LONG), stop=True)
            assert ended.stopped
            assert stopped.figures().most_running == 2
            assert stopped.waiting == 0
            assert stopped.kv
            assert stopped.kv.capacity_tokens == 2 * 1024
            # On a busy machine an answer may end before the stop arrives; the next one is stopped then.
            own = [[one for one in stopped.requests.values() if one.user == user] for user in range(2)]
            assert [one[-1].reason for one in own] == ["stopped", "stopped"]
            assert any(_overlap(one, other) for one, other in product(*own))
            with connected(server.address) as independent:
                assert await eventually(lambda: _running(independent) == 0, 100)
            again, _ = await run(engine, engine.load_test(1, 1, PROMPTS, FIXED))
            assert again.figures().tokens == 32
            for command, code in (
                (engine.load_test(33, 33, PROMPTS, FIXED), "bad-load-test"),
                (engine.load_test(1, 1, PROMPTS, protocol.Sampling(top_p=2.0)), "bad-sampling"),
                (engine.load_test(1, 1, ("word " * 3_000,), FIXED), "context-full"),
            ):
                with pytest.raises(EngineError) as raised:
                    await run(engine, command)
                assert raised.value.code == code
            server.kill()
            with pytest.raises(EngineError, match="nothing listens there"):
                await run(engine, engine.load_test(2, 2, PROMPTS, FIXED))
    finally:
        server.kill()


def _running(backend: EndpointBackend) -> int | None:
    usage = backend.kv_usage()
    return usage.running if usage else None


async def test_tokens_are_the_servers_or_marked_as_estimated(tmp_path: Path) -> None:
    """Counted with each chunk, at the end, or not at all; and never more than were asked for."""
    for kind, breakage, tokens, stamps, estimated in (
        ("vllm", "", 5, 5, False),
        ("ollama", "", 5, 3, False),  # five in all, in three pieces
        ("ovms", "no-usage", 2, 3, True),  # nine characters
    ):
        double = OpenAIServer(kind, breakage=breakage, chunks=5 if kind == "vllm" else 3)
        with double.running():
            async with loaded(double.url, tmp_path / kind) as engine:
                record, _ = await run(engine, engine.load_test(2, 4, PROMPTS, FIXED))
        figures = record.figures()
        assert (figures.tokens, figures.estimated) == (4 * tokens, estimated), kind
        assert [len(one.token_ns) for one in record.requests.values()] == [stamps] * 4
        assert figures.total_rate == pytest.approx(4 * tokens / figures.seconds)
        assert {one.prompt_tokens for one in record.requests.values()} == {0 if estimated else 4}
    with OpenAIServer("vllm", chunks=500).running() as double:
        async with loaded(double.url, tmp_path / "long") as engine:
            record, _ = await run(engine, engine.load_test(2, 2, PROMPTS, FIXED))
        assert record.figures().tokens == 2 * FIXED.max_tokens
        assert {one.reason for one in record.requests.values()} == {"length"}


async def test_many_requests_that_are_refused_at_once_drop_the_same_fields(tmp_path: Path) -> None:
    """And no others: what one request has learned already is no reason to drop more."""
    with OpenAIServer("plain").running() as double:
        async with loaded(double.url, tmp_path) as engine:
            record, _ = await run(engine, engine.load_test(8, 16, PROMPTS, FIXED))
        assert record.figures().completed == 16
        first, last = double.chats()[0], double.chats()[-1]
        assert first.keys() - last.keys() == {"min_p", "repetition_penalty"}
        assert first["stream_options"] == last["stream_options"]

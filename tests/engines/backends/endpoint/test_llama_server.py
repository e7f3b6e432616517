"""A real server: llama.cpp's, in a wheel, with a tiny GGUF file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine_lifecycle import EngineLifecycle
from app.state.conversation.turn import Turn
from app.state.side.phase import Phase
from app.state.side.side import Side
from engines.build.server import server_spec
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol
from tests.engines.backends.endpoint.asking import QUESTION, ask, connected
from tests.engines.backends.endpoint.llama_server import LlamaServer
from tests.engines.worker.helpers import eventually

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
LAYERS = 24
"""So many that 900 tokens take seconds, and the server can be killed before they are complete."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LlamaServer]:
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    running = LlamaServer(write_tiny_gguf(tmp_path / "tiny-F32.gguf", layers=LAYERS))
    yield running
    running.kill()


def test_answers_counts_metrics_and_scores(server: LlamaServer) -> None:
    with connected(server.address) as backend:
        facts = backend.facts
        assert (facts.kind, facts.context, facts.precision) == ("llama.cpp", 1024, "F32")
        heard = ask(backend, sampling=protocol.Sampling(max_tokens=24, ignore_eos=True))
        assert heard.end.reason == "length"
        assert heard.end.server.tokens == 24
        assert heard.end.server.counted_by == "server"
        assert sum(one.tokens or 0 for one in heard.pieces) == 24
        assert heard.end.server.decode_rate
        again = ask(backend, sampling=protocol.Sampling(max_tokens=24, ignore_eos=True))
        assert again.text == heard.text  # greedy is said in full
        assert again.end.cached
        counted = backend.count(QUESTION, ("Hello world",))
        assert counted.tokens == heard.end.server.prompt_tokens
        assert counted.texts[0] >= 2
        usage = backend.kv_usage()
        assert usage
        assert (usage.capacity_tokens, usage.running) == (1024, 0)

        scores = backend.score((1, 3, 836, 1203), 4)
        assert len(scores.logprobs) == 3
        assert all(value < 0 for value in scores.logprobs)
        best = scores.top_logprobs[0]
        assert best == sorted(best, reverse=True)

        stopped = ask(
            backend, sampling=protocol.Sampling(max_tokens=900, ignore_eos=True),
            stopped=lambda heard: len(heard.pieces) >= 3,
        )  # fmt: skip
        assert stopped.end.reason == "stopped"
        assert stopped.end.server.tokens < 900
        assert stopped.end.server.cancelled in ("confirmed", "running")
        assert stopped.end.server.cancelled == "confirmed" or backend.kv_usage()


async def test_a_side_survives_a_killed_server(server: LlamaServer, tmp_path: Path) -> None:
    """The text that came is kept, the error says what to do, and the side answers once the server is back."""
    side = Side("left")
    engine = EngineLifecycle(side, EngineStore(tmp_path / "store"), tmp_path / "logs")
    try:
        await engine.open(server_spec(server.address))
        assert side.phase is Phase.READY, side.error
        assert side.title.startswith("llama.cpp F32 at 127.0.0.1:")
        assert side.checkpoint_name == "tiny-F32.gguf"
        assert (await answered(engine, 5)).reason == "length"

        turn = side.conversation.begin("again", side.title)
        asked = asyncio.create_task(
            engine.answer(turn, QUESTION, protocol.Sampling(max_tokens=900, ignore_eos=True))
        )
        assert await eventually(lambda: len(turn.answer) > 3, 100)
        server.kill()
        await asked
        assert turn.error
        assert turn.error.code == "answer-cut"
        assert turn.answer
        assert side.phase is Phase.READY
        failed = await answered(engine, 5)
        assert failed.error
        assert "nothing listens there" in failed.error.message
        server.start()
        assert (await answered(engine, 5)).reason == "length"
        assert side.kv
        assert side.kv.capacity_tokens == 1024
    finally:
        await engine.close()


async def answered(engine: EngineLifecycle, tokens: int) -> Turn:
    """Ask a question, and return its turn."""
    turn = engine.side.conversation.begin("Hello", engine.side.title)
    sampling = protocol.Sampling(max_tokens=tokens, ignore_eos=True)
    await engine.answer(turn, QUESTION, sampling)
    if turn.reason:
        assert turn.server
        assert turn.timing
        assert turn.timing.tokens == turn.server.tokens == tokens
    return turn


def test_a_spec_names_its_server() -> None:
    spec = server_spec("localhost:8000", "m", "env:K", ["X-A: b"])
    assert EngineSpec.from_json(spec.to_json()) == spec

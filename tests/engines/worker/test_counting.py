"""Counting tokens and dropping turns in a real worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.worker.helpers import LONG, loaded

CONTEXT = 256
SHORT = protocol.Sampling(max_tokens=8, ignore_eos=True)


@pytest.fixture
async def worker(tiny_llama: Path, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    process = await loaded(tiny_llama, tmp_path / "worker.log", CONTEXT)
    yield process
    await process.close()


def conversation(turns: int) -> tuple[dict[str, str], ...]:
    answered = [
        {"role": role, "content": f"These are the words of turn {number}."}
        for number in range(turns)
        for role in ("user", "assistant")
    ]
    return (*answered, {"role": "user", "content": "And now?"})


async def counted(worker: EngineProcess, messages: tuple[dict[str, str], ...]) -> protocol.TokensCounted:
    event = await worker.ask(protocol.CountTokens(worker.next_id(), messages, ("Hello", "")))
    assert isinstance(event, protocol.TokensCounted), event
    return event


async def generate(
    worker: EngineProcess, messages: tuple[dict[str, str], ...], trim: bool
) -> list[protocol.Event]:
    command = protocol.Generate(worker.next_id(), messages, None, SHORT, trim)
    return [event async for event in worker.run(command)]


async def test_the_count_is_the_length_of_the_prompt(worker: EngineProcess) -> None:
    messages = conversation(1)
    found = await counted(worker, messages)
    prompt = (await generate(worker, messages, trim=False))[0]
    assert isinstance(prompt, protocol.Prompt)
    assert (found.tokens, found.context, found.left_out) == (prompt.tokens, CONTEXT, 0)
    assert found.least == found.tokens
    assert found.texts[0] > 0


async def test_tokens_are_counted_while_an_answer_is_generated(worker: EngineProcess) -> None:
    command = protocol.Generate(worker.next_id(), conversation(0), None, LONG)
    async with aclosing(worker.run(command)) as events:
        async for event in events:
            if isinstance(event, protocol.Chunk):
                break
        assert (await counted(worker, conversation(1))).tokens > 0
        late = [event async for event in events]  # the answer was not interrupted
    assert isinstance(late[-1], protocol.Done)
    assert late[-1].reason == "context"


async def test_counting_needs_a_loaded_engine(tmp_path: Path) -> None:
    process = await fork_worker("pytorch", tmp_path / "worker.log")
    event = await process.ask(protocol.CountTokens(process.next_id(), conversation(1)))
    assert isinstance(event, protocol.Error)
    assert event.code == "not-loaded"
    await process.close()


async def test_the_oldest_turns_are_dropped_with_trim(worker: EngineProcess) -> None:
    messages = conversation(12)
    found = await counted(worker, messages)
    assert found.tokens > CONTEXT > found.least
    refused = (await generate(worker, messages, trim=False))[-1]
    assert isinstance(refused, protocol.Error)
    assert refused.code == "context-full"
    events = await generate(worker, messages, trim=True)
    assert isinstance(events[0], protocol.Prompt)
    assert isinstance(events[-1], protocol.Done)
    assert (events[0].left_out, events[0].tokens) == (found.left_out, found.least)
    assert 0 < found.left_out < 12

"""Answers of a real worker: limits, stopping, seeds, time stamps. All tests share one loaded worker."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.protocol import Sampling
from tests.engines.worker.helpers import LONG, answer, generate, last_error, load, loaded, pytorch_spec

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTEXT = 2048


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EngineProcess]:
    """PyTorch on the tiny Llama."""
    process = await loaded(tiny_llama, tmp_path_factory.mktemp("logs") / "log", CONTEXT)
    yield process
    await process.close()


def done(events: list[protocol.Event]) -> protocol.Done:
    """The Done at the end."""
    assert isinstance(events[-1], protocol.Done), events[-1]
    return events[-1]


async def test_an_answer_from_first_to_last(worker: EngineProcess) -> None:
    before = time.monotonic_ns()
    events = await answer(worker, "Hello", Sampling(max_tokens=40, ignore_eos=True))
    after = time.monotonic_ns()
    prompt, last = events[0], done(events)
    chunks = [event for event in events if isinstance(event, protocol.Chunk)]
    assert isinstance(prompt, protocol.Prompt)
    times = [stamp for chunk in chunks for stamp in chunk.t_ns]
    assert before < prompt.t_ns < times[0]
    assert times == sorted(times)
    assert times[-1] < after
    assert len(set(times)) == 40  # each has its own time, not that of its chunk
    assert "".join(chunk.text for chunk in chunks) == last.text
    assert sum((chunk.token_ids for chunk in chunks), ()) == last.token_ids
    assert (len(last.token_ids), last.reason, last.cached) == (40, "length", 0)


async def test_a_prompt_is_reported_by_its_length_and_digest(worker: EngineProcess) -> None:
    """Equal prompts have equal digests, others of the same length do not; the ids are not sent."""
    short = Sampling(max_tokens=1)
    prompts = [(await answer(worker, ids, short))[0] for ids in ((5, 6, 7), (5, 6, 7), (7, 6, 5))]
    first, same, other = [(one.tokens, one.digest) for one in prompts if isinstance(one, protocol.Prompt)]
    assert first == same != other
    assert first[0] == other[0] == 3
    assert not any("token_ids" in vars(one) for one in prompts)


async def test_kv_bytes_are_the_formula(worker: EngineProcess) -> None:
    events = await answer(worker, tuple(range(10, 20)), Sampling(max_tokens=6, ignore_eos=True))
    usage = [event.usage for event in events if isinstance(event, protocol.KV)][-1]
    # The last token is yielded but never fed back. 2 · layers · kv_heads · head_dim · bytes · tokens.
    assert usage.tokens == 10 + 6 - 1
    assert usage.bytes_used == 2 * 2 * 2 * 32 * 4 * usage.tokens
    assert (usage.capacity_tokens, usage.block_tokens, usage.total_blocks) == (CONTEXT, None, None)
    memory = [event.usage for event in events if isinstance(event, protocol.Memory)][-1]
    assert memory.kv == usage.bytes_used
    assert memory.weights is not None
    assert memory.peak is None  # not measured on a CPU


async def test_greedy_is_the_same_every_time_and_seeds_differ(worker: EngineProcess) -> None:
    greedy = Sampling(max_tokens=20, ignore_eos=True)
    hot = replace(greedy, temperature=2.0, seed=1)
    twice = [done(await answer(worker, "Hello", greedy)).token_ids for _ in range(2)]
    seeded = [done(await answer(worker, "Hello", hot)).token_ids for _ in range(2)]
    other = done(await answer(worker, "Hello", replace(hot, seed=2))).token_ids
    assert twice[0] == twice[1]
    assert seeded[0] == seeded[1]
    assert len({twice[0], seeded[0], other}) == 3


@pytest.mark.parametrize("length", [CONTEXT, CONTEXT + 500])
async def test_a_prompt_that_fills_the_context(worker: EngineProcess, length: int) -> None:
    error = last_error(await answer(worker, (5,) * length, Sampling()))
    assert error.code == "context-full"
    assert error.message == f"The conversation is {length:,} tokens long and the engine holds 2,048."
    assert error.hint.endswith("a longer context (F2), or let the oldest turns be left out (F6).")


async def test_an_answer_that_fills_the_context(worker: EngineProcess) -> None:
    last = done(await answer(worker, (5,) * (CONTEXT - 3), Sampling(max_tokens=50, ignore_eos=True)))
    assert (last.reason, len(last.token_ids)) == ("context", 3)
    last = done(await answer(worker, (5,) * (CONTEXT - 3), Sampling(max_tokens=3, ignore_eos=True)))
    assert last.reason == "length"


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(worker: EngineProcess) -> None:
    sampling = Sampling(max_tokens=60, ignore_eos=True)
    whole = done(await answer(worker, "Hello", sampling))
    stop = whole.text[20:23]
    events = await answer(worker, "Hello", replace(sampling, stop=(stop,)))
    last = done(events)
    assert last.text == whole.text[: whole.text.index(stop)]
    assert last.reason == "stop"
    assert len(last.token_ids) < 60
    assert "".join(event.text for event in events if isinstance(event, protocol.Chunk)) == last.text


async def test_stop_twice_and_late(worker: EngineProcess) -> None:
    command = generate(worker, "Hello", LONG)
    last, seen = None, 0
    async for event in worker.run(command):
        last = event
        if isinstance(event, protocol.Chunk):
            seen += len(event.token_ids)
            if seen == len(event.token_ids):  # the first
                await worker.stop(command.id)
                await worker.stop(command.id)
    assert isinstance(last, protocol.Done)
    assert last.reason == "stopped"
    await worker.stop(command.id)  # the answer has ended already
    again = protocol.Generate(command.id, (), (5, 6), Sampling(max_tokens=4, ignore_eos=True))
    events = [event async for event in worker.run(again)]
    assert (done(events).reason, len(done(events).token_ids)) == ("length", 4)


async def test_stop_before_an_answer_begins(worker: EngineProcess) -> None:
    first, second = generate(worker, "Hello", replace(LONG, max_tokens=400)), generate(worker, "Hi", LONG)
    begun = asyncio.Event()
    running = asyncio.create_task(worker.ask(first, lambda _: begun.set()))
    waiting = asyncio.create_task(_collect(worker, second))
    await begun.wait()
    await worker.stop(second.id)
    await worker.stop(first.id)
    last = done(await waiting)
    assert (last.reason, last.token_ids, last.text) == ("stopped", (), "")
    assert done([await running]).reason == "stopped"


async def _collect(worker: EngineProcess, command: protocol.Command) -> list[protocol.Event]:
    return [event async for event in worker.run(command)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_tokens": 0}, "max_tokens is 0; it must be at least 1."),
        ({"temperature": -1.0}, "temperature is -1.0; it must be from 0.0 to 100.0."),
        ({"temperature": float("nan")}, "temperature is nan; it must be from 0.0 to 100.0."),
        ({"top_p": 0.0}, "top_p is 0.0; it must be from 1e-06 to 1.0."),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; it must be from 0.01 to 100.0."),
        ({"seed": -1}, "seed is -1"),
    ],
)
async def test_sampling_out_of_range(worker: EngineProcess, changes: dict[str, float], words: str) -> None:
    error = last_error(await answer(worker, "Hello", replace(Sampling(), **changes)))  # type: ignore[arg-type]
    assert error.code == "bad-sampling"
    assert error.message.startswith(words)


EDGES = (
    Sampling(max_tokens=8, temperature=1e-3),
    Sampling(max_tokens=8, temperature=1.0, top_p=0.01),
    Sampling(max_tokens=8, temperature=5.0, top_p=1.0, top_k=1),
    Sampling(
        max_tokens=8,
        temperature=1.0,
        top_p=0.9,
        top_k=5,
        min_p=0.5,
        repetition_penalty=1.3,
        seed=2**63 - 1,
    ),
)


@pytest.mark.parametrize("sampling", EDGES)
async def test_sampling_at_its_edges(worker: EngineProcess, sampling: Sampling) -> None:
    assert done(await answer(worker, "Hello", replace(sampling, ignore_eos=True))).reason == "length"


async def test_tokens_outside_the_vocabulary(worker: EngineProcess) -> None:
    error = last_error(await answer(worker, (5, 384), Sampling()))
    assert (error.code, error.message) == (
        "bad-tokens",
        "Token id 384 is outside the model's vocabulary of 384.",
    )
    assert last_error(await answer(worker, (-1,), Sampling())).code == "bad-tokens"
    assert last_error(await answer(worker, (), Sampling())).code == "empty-prompt"


async def test_scores(worker: EngineProcess) -> None:
    ids = tuple(itertools.islice(itertools.cycle(range(5, 300)), 600))
    scored = await worker.ask(protocol.Score(worker.next_id(), ids, 3))
    assert isinstance(scored, protocol.Scored)
    assert len(scored.logprobs) == len(scored.top_ids) == len(scored.top_logprobs) == 599
    assert all(
        best[0] >= best[1] >= best[2] and own <= best[0] + 1e-6
        for own, best in zip(scored.logprobs, scored.top_logprobs, strict=True)
    )
    error = await worker.ask(protocol.Score(worker.next_id(), (5,)))
    assert isinstance(error, protocol.Error)
    assert error.message == "Scoring takes 2 to 2048 tokens."


async def test_commands_that_the_worker_cannot_read_are_answered(worker: EngineProcess) -> None:
    wrong = protocol.Score(worker.next_id(), ("five",))  # type: ignore[arg-type]
    error = await worker.ask(wrong)
    assert isinstance(error, protocol.Error)
    assert error.code == "bad-command"
    assert error.message == "The worker cannot read a command: score.token_ids: 'five' is not int."

    class Dance(protocol.Describe):
        TYPE = "dance"

    error = await worker.ask(Dance(worker.next_id()))
    assert isinstance(error, protocol.Error)
    assert error.code == "unknown-command"


async def test_loading_again_replaces_the_engine(worker: EngineProcess, tiny_llama: Path) -> None:
    ready = await load(worker, pytorch_spec(tiny_llama, 64))
    assert (ready.context, ready.chat_template, ready.warm_up_tokens) == (64, True, 4)
    assert last_error(await answer(worker, (5,) * 64, Sampling())).code == "context-full"
    ready = await load(worker, pytorch_spec(tiny_llama, 2))  # too small for a warm-up
    assert ready.context == 2
    await load(worker, pytorch_spec(tiny_llama, CONTEXT))


async def test_nothing_is_loaded(tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    error = last_error(await answer(process, "Hello", Sampling()))
    assert (error.code, error.message) == ("not-loaded", "No engine is loaded in this worker.")
    await process.close()


async def test_an_unknown_backend(tmp_path: Path) -> None:
    process = await EngineProcess.start("abacus", tmp_path / "log")
    error = await process.ask(protocol.Describe(1))
    assert isinstance(error, protocol.Error)
    assert (error.code, error.message) == ("unknown-backend", "There is no backend named 'abacus'.")
    await process.close()

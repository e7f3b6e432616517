"""Thought and answer of real engines: the tags may be in the prompt, special tokens, or in several tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.engines.scripted import make_scripted
from tests.engines.worker.helpers import answer, load, pytorch_spec

TURNS = "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
PLAIN = TURNS + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
OPENS = TURNS + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
GREEDY = protocol.Sampling(max_tokens=64)


class Case(NamedTuple):
    """A checkpoint, and what becomes of its answer."""

    template: str
    prompt: str
    answer: tuple[str, ...]
    special: tuple[str, ...]
    thought: str
    text: str
    thought_tokens: int | None = None


CASES = {
    "the template opens the thought": Case(
        OPENS, "<think>\n", ("Hm", "</think>", "Yes"), ("<think>", "</think>"), "Hm", "Yes", 3
    ),
    "the closing tag is several tokens": Case(OPENS, "\n", ("Hm", "</think>", " So"), (), "Hm", "So"),
    "tags that are special tokens": Case(
        PLAIN,
        "<|assistant|>",
        ("[THINK]", "Hm", "[/THINK]", "Yes"),
        ("[THINK]", "[/THINK]"),
        "Hm",
        "Yes",
        4,
    ),
    "a thought that is never closed": Case(OPENS, "\n", ("Hm",), (), "Hm", ""),
    "no thought": Case(PLAIN, "<|assistant|>", ("Yes",), (), "", "Yes", 0),
}


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    process = await fork_worker("pytorch", tmp_path / "worker.log")
    yield process
    await process.close()


async def test_thought_and_answer_are_separated_while_they_stream(
    worker: EngineProcess, tmp_path: Path
) -> None:
    for number, (name, case) in enumerate(CASES.items()):
        folder = make_scripted(tmp_path / str(number), case.template, case.prompt, case.answer, case.special)
        await load(worker, pytorch_spec(folder))
        events = await answer(worker, "Why <think>?", GREEDY)
        done = events[-1]
        assert isinstance(done, protocol.Done), (name, done)
        assert (done.thought, done.text) == (case.thought, case.text), name
        chunks = [event for event in events if isinstance(event, protocol.Chunk)]
        for kind, text in ((True, done.thought), (False, done.text)):
            assert "".join(chunk.text for chunk in chunks if chunk.thought is kind) == text, name
        assert tuple(token for chunk in chunks for token in chunk.token_ids) == done.token_ids
        if case.thought_tokens is not None:
            thought = sum(len(chunk.token_ids) for chunk in chunks if chunk.thought)
            assert thought == case.thought_tokens, name

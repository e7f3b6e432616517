"""Engines on the demo checkpoint: identical answers at fp32, and reuse of KV blocks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.state.side.side import Side
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.worker.protocol import Ready, Sampling
from tests.engines import demo_prompts

PROMPTS = (
    *demo_prompts.PROMPTS,
    "How do I stop an answer?",
    "Tell me a story about a lighthouse and a storm, please.",
    "What is 17 plus 25?",
    "hello!!",
    "What's the difference between prefill and decode?",
    "Is bf16 better than fp16?",
    "my name is Ada",
    "What is perplexity?",
    "Which keys are there?",
    "Übersetze das bitte: 漢字 🙂",
)


@contextlib.asynccontextmanager
async def opened(folder: Path, backend: str, precision: str) -> AsyncIterator[Side]:
    side = Side(backend, EngineStore(folder / "store"), folder / "logs")
    try:
        async with contextlib.aclosing(side.open(EngineSpec(str(CHECKPOINT), backend, precision))) as steps:
            last = [step async for step in steps][-1]
        assert isinstance(last, Ready), last
        yield side
    finally:
        await side.close()


async def answers(side: Side, prompts: tuple[str, ...], sampling: Sampling) -> list[tuple[int, ...]]:
    found = []
    for prompt in prompts:
        side.conversation.clear()
        turn = side.conversation.begin(prompt, side.title)
        async for _ in side.ask(turn, side.conversation.messages(), sampling):
            pass
        assert turn.error is None
        found.append(turn.token_ids)
    return found


async def test_fp32_answers_are_identical_to_pytorch(tmp_path: Path) -> None:
    """Greedy, 20 prompts, 64 tokens each."""
    sampling = Sampling(max_tokens=64, ignore_eos=True)
    async with (
        opened(tmp_path, "pytorch", "fp32") as reference,
        opened(tmp_path, "openvino", "fp32") as engine,
    ):
        expected = await answers(reference, PROMPTS, sampling)
        assert all(len(token_ids) == 64 for token_ids in expected)
        assert await answers(engine, PROMPTS, sampling) == expected


@pytest.mark.parametrize("precision", ["int8", "int4"])
async def test_a_quantised_engine_answers_and_reuses_blocks(tmp_path: Path, precision: str) -> None:
    """The second turn of a conversation has cache hits on the blocks of the first."""
    async with opened(tmp_path, "openvino", precision) as side:
        for prompt in ("Tell me a story about a fox.", "What is a KV cache?"):
            turn = side.conversation.begin(prompt, side.title)
            async for _ in side.ask(turn, side.conversation.messages(), Sampling(max_tokens=300)):
                pass
            assert turn.reason == "stop"
            assert turn.answer.rstrip()[-1] in ".!?`|"
        assert side.kv
        assert side.kv.block_tokens == 32
        assert side.kv.used_blocks
        assert side.kv.used_blocks * 32 >= turn.prompt_tokens
        assert side.kv.reused_blocks

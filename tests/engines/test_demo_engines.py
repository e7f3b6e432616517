"""Engines on the demo checkpoint: identical answers at fp32, and reuse of KV blocks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engine_lifecycle import EngineLifecycle
from app.state.side.side import Side
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling
from tests.doubles.fork_server import start_forked
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
ALL_TOKENS = Sampling(max_tokens=64, ignore_eos=True)


@contextlib.asynccontextmanager
async def opened(folder: Path, backend: str, precision: str) -> AsyncIterator[EngineLifecycle]:
    engine = EngineLifecycle(Side(backend), EngineStore(folder / "store"), folder / "logs", start_forked)
    try:
        await engine.open(EngineSpec(str(CHECKPOINT), backend, precision))
        assert engine.side.ready, engine.side.error
        yield engine
    finally:
        await engine.close()


async def answers(
    engine: EngineLifecycle, prompts: tuple[str, ...], sampling: Sampling
) -> list[tuple[int, ...]]:
    found = []
    conversation = engine.side.conversation
    for prompt in prompts:
        conversation.clear()
        turn = conversation.begin(prompt, engine.side.title)
        await engine.answer(turn, conversation.messages(), sampling)
        assert turn.error is None
        found.append(turn.token_ids)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, ...]]:
    """PyTorch's answers: the reference of every other engine."""

    async def ask() -> list[tuple[int, ...]]:
        async with opened(tmp_path_factory.mktemp("reference"), "pytorch", "fp32") as reference:
            return await answers(reference, PROMPTS, ALL_TOKENS)

    found = asyncio.run(ask())
    assert all(len(token_ids) == 64 for token_ids in found)
    return found


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "llama-cpp"])
async def test_fp32_answers_are_identical_to_pytorch(
    tmp_path: Path, backend: str, expected: list[tuple[int, ...]]
) -> None:
    """Greedy, 20 prompts, 64 tokens each."""
    async with opened(tmp_path, backend, "fp32") as engine:
        assert await answers(engine, PROMPTS, ALL_TOKENS) == expected


@pytest.mark.parametrize("precision", ["int8", "int4"])
async def test_a_quantised_engine_answers_and_reuses_blocks(tmp_path: Path, precision: str) -> None:
    """The second turn of a conversation has cache hits on the blocks of the first."""
    async with opened(tmp_path, "openvino", precision) as engine:
        side = engine.side
        for prompt in ("Tell me a story about a fox.", "What is a KV cache?"):
            turn = side.conversation.begin(prompt, side.title)
            await engine.answer(turn, side.conversation.messages(), Sampling(max_tokens=300))
            assert turn.reason == "stop"
            assert turn.answer.rstrip()[-1] in ".!?`|"
        assert side.kv
        assert side.kv.block_tokens == 32
        assert side.kv.used_blocks
        assert side.kv.used_blocks * 32 >= turn.prompt_tokens
        assert side.kv.reused_blocks

"""A chat template that never ends, in a real worker: Esc ends the answer, the next prompt works."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.engines.worker.helpers import (
    answer,
    eventually,
    generate,
    load,
    loaded,
    pytorch_spec,
    session_is_empty,
)
from tests.engines.worker.test_tokenizer_process import STUCK

SHORT = protocol.Sampling(max_tokens=4, ignore_eos=True)


@pytest.fixture
def checkpoint(tiny_llama: Path, tmp_path: Path) -> Path:
    """Its template never ends for a prompt with the word `stuck`."""
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text(STUCK)
    return folder


@pytest.fixture
async def worker(checkpoint: Path, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    process = await loaded(checkpoint, tmp_path / "worker.log")
    yield process
    await process.close()


def busy(worker: EngineProcess) -> bool:
    """Whether a process of the tokenizer has used processor time: it is in the template."""
    children = psutil.Process(worker.pid).children(recursive=True)
    return any(child.status() == psutil.STATUS_RUNNING for child in children)


async def test_esc_ends_a_prompt_that_is_never_ready_and_the_next_one_is_answered(
    worker: EngineProcess,
) -> None:
    command = generate(worker, "stuck", SHORT)
    running = asyncio.create_task(worker.ask(command))
    assert await eventually(lambda: busy(worker), 60)
    await worker.stop(command.id)
    done = await running
    assert isinstance(done, protocol.Done), done
    assert (done.reason, done.token_ids) == ("stopped", ())
    following = (await answer(worker, "Hello", SHORT))[-1]
    assert isinstance(following, protocol.Done), following
    assert len(following.token_ids) == 4


async def test_a_count_that_is_never_ready_delays_no_answer_and_ends_with_the_engine(
    worker: EngineProcess, checkpoint: Path
) -> None:
    stuck = ({"role": "user", "content": "stuck"},)
    counting = asyncio.create_task(worker.ask(protocol.CountTokens(worker.next_id(), stuck)))
    assert await eventually(lambda: busy(worker), 60)
    assert isinstance((await answer(worker, "Hello", SHORT))[-1], protocol.Done)
    await load(worker, pytorch_spec(checkpoint))
    assert isinstance(await counting, protocol.Error)
    hello = ({"role": "user", "content": "Hello"},)
    assert isinstance(await worker.ask(protocol.CountTokens(worker.next_id(), hello)), protocol.TokensCounted)


async def test_closing_a_worker_with_a_prompt_that_is_never_ready_leaves_no_process(
    checkpoint: Path, tmp_path: Path
) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "real.log")  # not forked: as in the app
    await load(process, pytorch_spec(checkpoint))
    running = asyncio.create_task(process.ask(generate(process, "stuck", SHORT)))
    assert await eventually(lambda: busy(process), 60)
    await process.close()
    await running
    assert session_is_empty(process.pid)

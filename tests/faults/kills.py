"""Kill workers, builds and apps at random moments, and check that nothing is lost or left behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from app.engine_lifecycle import EngineLifecycle
from app.state.settings.paths import NAME
from app.state.settings.settings import EngineChoice, Settings, save_settings
from app.state.side.phase import Phase
from app.state.side.side import Side
from engines.build.prepare import prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import damage
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker.process import EngineProcess
from engines.worker.process_tree import runs
from engines.worker.protocol import Chunk, Event, Sampling
from tests.app.driving import sampled
from tests.doubles.fork_server import start_forked
from tests.e2e.terminal import Terminal, playground
from tests.faults.result import Result

SPEC = EngineSpec(str(CHECKPOINT), "openvino", "int8", context=512)
ANSWER = Sampling(max_tokens=400, ignore_eos=True)
END_SECONDS = 60.0
PROMPT = "Tell me a story about a lamp."


async def kill_workers(count: int, seed: int, folder: Path) -> Result:
    """Kill a worker while it opens, is idle or answers; the side fails, keeps its text, and opens again."""
    rng, result = random.Random(seed), Result("workers killed")
    store = EngineStore(folder / "store")
    side = Side("left")
    workers: list[EngineProcess] = []

    async def start(backend: str, log: Path) -> EngineProcess:
        workers.append(await start_forked(backend, log))
        return workers[-1]

    engine = EngineLifecycle(side, store, folder / "logs", start)
    await engine.open(SPEC)
    for number in range(count):
        moment = rng.choice(("opening", "answering", "answering", "ready"))
        problem = await _kill_worker(engine, side, moment, rng)
        left = [pid for pid in (one.pid for one in workers) if pid != side.pid and _runs(pid)]
        result.count(problem or (f"kill {number} ({moment}): still running: {left}" if left else ""))
        await engine.open(SPEC)
        if side.phase is not Phase.READY:
            result.lost.append(f"after kill {number} ({moment}): {side.error}")
    await engine.close()
    return result


async def _kill_worker(engine: EngineLifecycle, side: Side, moment: str, rng: random.Random) -> str:
    """Return what is wrong afterwards; empty if nothing is."""
    if moment == "opening":
        opening = engine.open(SPEC)
        await asyncio.sleep(rng.uniform(0, 0.6))
        _kill(side.pid)
        await opening
        return "" if side.phase in (Phase.FAILED, Phase.READY) else f"{moment}: {side.phase}"
    if moment == "ready":
        return await _kill_idle(side)
    received = list[str]()
    after = rng.randrange(40)

    def take(event: Event) -> None:
        if isinstance(event, Chunk):
            received.append(event.text)
            if len(received) == after:
                _kill(side.pid)

    turn = side.conversation.begin(PROMPT, side.title)
    if after == 0:
        _kill(side.pid)
    async with asyncio.timeout(END_SECONDS):
        await engine.answer(turn, side.conversation.messages(), ANSWER, on_event=take)
    if len(received) < after:  # the answer was complete before
        return await _kill_idle(side)
    if turn.error is None or turn.error.code != "worker-died":
        return f"{moment}: the turn ended with {turn.error}"
    return "" if turn.answer == "".join(received) else f"{moment}: received text is lost"


async def _kill_idle(side: Side) -> str:
    _kill(side.pid)
    async with asyncio.timeout(END_SECONDS):
        while side.phase is not Phase.FAILED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return ""


async def kill_builds(count: int, seed: int, folder: Path) -> Result:
    """Kill or cancel a build at a random moment: no half engine is left, and the next build works."""
    rng, result = random.Random(seed), Result("builds killed or cancelled")
    for number in range(count):
        store = EngineStore(folder / f"store-{number}")
        process = await start_forked("openvino", folder / "log")
        build = asyncio.create_task(prepare(SPEC, store, process, lambda _: None))
        await asyncio.sleep(rng.uniform(0, 1.2))
        if rng.random() < 0.5:
            _kill(process.pid)
        else:
            build.cancel()
        with suppress(EngineError, asyncio.CancelledError):
            await build
        await process.kill()
        result.count(await asyncio.to_thread(_store_problem, store))
        if number % 10 == 0:
            result.lost += await _next_build_problem(store, folder / "log")
        await asyncio.to_thread(shutil.rmtree, store.root, ignore_errors=True)
    return result


def _store_problem(store: EngineStore) -> str:
    damaged = [entry.fingerprint for entry in store.engines() if damage(entry)]
    unreadable = [entry.reason for entry in store.unreadable() if entry.reason != "unfinished build"]
    return f"damaged engines: {damaged} {unreadable}" if damaged or unreadable else ""


async def _next_build_problem(store: EngineStore, log: Path) -> list[str]:
    process = await start_forked("openvino", log)
    try:
        await prepare(SPEC, store, process, lambda _: None)
    except EngineError as error:
        return [f"the next build failed: {error.message}"]
    finally:
        await process.kill()
    left = list(store.root.glob("building/*"))
    return [f"left behind: {left}"] if left else []


def kill_apps(count: int, seed: int, folder: Path) -> Result:
    """SIGKILL the app in a terminal around a prompt: no torn line, no prompt lost, no process left.

    The same home is used again, so each app also opens what the one before it has left.
    """
    rng, result = random.Random(seed), Result("apps killed")
    engine = EngineChoice("openvino", "int8")
    settings = Settings(chosen=True, welcomed=True, left=engine, right=engine)
    save_settings(folder / ".config" / NAME / "settings.toml", sampled(settings, ANSWER))
    for number in range(count):
        terminal = Terminal(folder, playground("--continue"), 80, 24)
        try:
            result.count(_kill_app(terminal, f"Prompt {number}.", rng))
        except pytest.fail.Exception as error:  # what it waited for did not appear
            result.count(str(error))
        finally:
            terminal.close()
    return result


def _kill_app(terminal: Terminal, prompt: str, rng: random.Random) -> str:
    terminal.wait_for(r" ready ─╯╰─[^╯]* ready ─╯")  # in the borders of both sides
    terminal.type(prompt)
    terminal.wait_for(prompt)
    terminal.keys("Enter")
    sent = rng.random() < 0.8
    if sent:
        terminal.wait_for("prefill|decode|TTFT")
        time.sleep(rng.uniform(0, 0.5))
    os.kill(terminal.pid, signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while left := [process for process in terminal.processes() if runs(process)]:
        if time.monotonic() > deadline:
            return f"still running: {left}"
        time.sleep(0.1)
    return _conversation_problem(terminal.folder, prompt if sent else "")


def _conversation_problem(home: Path, prompt: str) -> str:
    """Return which line is torn, or that the prompt was not saved."""
    prompts = set()
    for file in (home / ".local/share" / NAME / "conversations").glob("*.jsonl"):
        for line in file.read_bytes().splitlines():
            try:
                prompts.add(json.loads(line).get("turn", {}).get("prompt"))
            except ValueError:
                return f"{file.name}: torn line {line[:60]!r}"
    return f"{prompt!r} is not in a conversation" if prompt and prompt not in prompts else ""


def _runs(pid: int) -> bool:
    try:
        return runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def _kill(pid: int | None) -> None:
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)

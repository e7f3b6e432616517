"""Open hostile checkpoints as the app does, in real workers, and say how each ended.

    python -m tests.faults.attack GOOD FOLDER BACKEND [NAME ...]

runs the named cases, or all of them, on the good checkpoint GOOD with copies below FOLDER.
"""

from __future__ import annotations

import asyncio
import math
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engines.build.prepare import PreparedEngine, StartWorker, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import fork_worker
from tests.faults.hostile import CASES, write
from tests.faults.result import Result

PRECISION = {"pytorch": "fp32", "openvino": "int8", "compiled": "fp32"}
AT_ONCE = 2
CASE_SECONDS = 300.0
"""Longer is a hang, on a busy machine too."""
PROMPT = ({"role": "user", "content": "Hello there, what is a KV cache, and who needs more than one?"},)
WRONG_CODES = ("internal", "worker-died", "worker-hung", "worker-nonsense", "worker-stuck")
WRONG_WORDS = ("see above", "above report", "please report", "Traceback")


def verdict(result: protocol.Event | EngineError) -> str:
    """Return what is wrong with the end of a case; empty if it was refused with a message, or answered."""
    if isinstance(result, protocol.Done):
        return "" if result.token_ids else "an empty answer"
    if not isinstance(result, (protocol.Error, EngineError)):
        return f"ended with {result}"
    words = f"{result.message} {result.hint}"
    wrong = result.code in WRONG_CODES or any(part in words for part in WRONG_WORDS)
    return f"{result.code}: {words}" if wrong or not result.message else ""


async def attack(
    folder: Path, backend: str, start: StartWorker, store: EngineStore, log: Path, precision: str = ""
) -> tuple[protocol.Event | EngineError, bool]:
    """Prepare, load and ask; return how it ended, and whether the engine was loaded."""
    spec = EngineSpec(str(folder), backend, precision or PRECISION[backend], context=512)
    processes: list[EngineProcess] = []

    async def started() -> EngineProcess:
        processes.append(await start(backend, log))
        return processes[-1]

    try:
        prepared = await prepare(spec, store, await started(), lambda step: None)
        worker = processes[-1] if processes[-1].alive else await started()
        return await _ask(worker, prepared)
    except EngineError as error:
        return error, False
    finally:
        for process in processes:
            await process.kill()


async def _ask(worker: EngineProcess, prepared: PreparedEngine) -> tuple[protocol.Event, bool]:
    loaded = await worker.ask(protocol.Load(worker.next_id(), prepared.spec.to_json(), prepared.directory))
    if not isinstance(loaded, protocol.Ready):
        return loaded, False
    sampling = protocol.Sampling(max_tokens=8, ignore_eos=True)
    return await worker.ask(protocol.Generate(worker.next_id(), PROMPT, None, sampling)), True


def chosen(count: int, seed: int) -> list[str]:
    """Return about `count` cases, each kind in proportion, chosen by the seed."""
    names = list(CASES)
    random.Random(seed).shuffle(names)
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.partition(":")[0], []).append(name)
    return [name for group in kinds.values() for name in group[: math.ceil(count * len(group) / len(names))]]


async def attack_all(backend: str, good: Path, folder: Path, names: Sequence[str]) -> tuple[Result, set[str]]:
    """Open each case with a backend, AT_ONCE at the same time.

    Args:
        good: the checkpoint that the cases damage.
        folder: where the copies are made.

    Returns:
        The result, and the names of the cases whose engine was loaded.
    """
    result, loaded = Result(f"hostile checkpoints, {backend}"), set[str]()
    waiting = iter(names)

    async def attack_next(own: Path) -> None:
        for name in waiting:
            begun = time.monotonic()
            checkpoint = await asyncio.to_thread(_fresh_copy, name, good, own)
            problem, end, was_loaded = await _attack_one(checkpoint, backend, own)
            result.count(f"{name}: {problem}" if problem else "")
            if was_loaded:
                loaded.add(name)
            print(f"{'LOST' if problem else 'ok':5} {time.monotonic() - begun:5.1f} s  {name!r}: {end}"[:300])

    await asyncio.gather(*(attack_next(folder / str(number)) for number in range(AT_ONCE)))
    return result, loaded


async def _attack_one(checkpoint: Path, backend: str, folder: Path) -> tuple[str, str, bool]:
    """Return what is wrong, if anything, how it ended, and whether the engine was loaded."""
    try:
        async with asyncio.timeout(CASE_SECONDS):
            log = folder / "worker.log"
            end, loaded = await attack(checkpoint, backend, fork_worker, EngineStore(folder / "store"), log)
    except Exception as error:
        return f"{type(error).__name__}: {error}", "exception", False
    return verdict(end), f"{getattr(end, 'code', 'answered')}: {getattr(end, 'message', '')!r}", loaded


def _fresh_copy(name: str, good: Path, root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return write(name, good, root / "checkpoint")


if __name__ == "__main__":
    given = sys.argv[4:] or list(CASES)
    done, _ = asyncio.run(attack_all(sys.argv[3], Path(sys.argv[1]), Path(sys.argv[2]), given))
    print(f"{done.tried} cases, {len(done.lost)} wrong")
    sys.exit(bool(done.lost))

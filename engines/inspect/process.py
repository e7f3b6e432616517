"""Inspect an engine in another process: its files may come from strangers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import msgspec

from engines.errors import EngineError
from engines.inspect.inspection import Inspection

SECONDS = 60.0
"""A graph of 100 layers takes less than 2."""
MAX_OUTPUT_BYTES = 48_000_000
ROOT = Path(__file__).parents[2]


async def inspect_folder(folder: Path) -> Inspection:
    """Return what is in the folder of an engine.

    Raises:
        EngineError: `inspect-failed`: the process took too long, ended early, or printed too much.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # not the working folder: a file named json.py in it would be imported
        "-m",
        "engines.inspect",
        str(folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))},
    )
    try:
        async with asyncio.timeout(SECONDS):
            output = await _read(process)
            status = await process.wait()
    except TimeoutError as error:
        raise _failed(f"that took longer than {SECONDS:.0f} s") from error
    finally:
        await _end(process)
    if status:
        raise _failed(f"the process that reads them ended with status {status}")
    try:
        return msgspec.json.decode(output, type=Inspection)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _failed("the process that reads them printed something else") from error


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """Return what the process prints.

    Raises:
        EngineError: it is longer than MAX_OUTPUT_BYTES.
    """
    assert process.stdout
    try:
        await process.stdout.readexactly(MAX_OUTPUT_BYTES)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise _failed(f"their lists are larger than {MAX_OUTPUT_BYTES / 1e6:.0f} MB")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process, if it still runs, and read the rest of its pipe, which is closed at its end."""
    assert process.stdout
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    while await process.stdout.read(1 << 20):
        pass
    await process.wait()


def _failed(why: str) -> EngineError:
    return EngineError("inspect-failed", f"The files of this engine cannot be read: {why}.")

"""Browser tabs without a browser: websocket clients that open the served app and leave at random moments."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import psutil

from engines.worker.process_tree import runs
from screenshots.served import Served, until

AT_A_TIME = 5
STAY_SECONDS = 3.0
"""A tab leaves after a random part of it: before its app has started, while it starts, and with engines."""
MESSAGES = (
    '["stdin", "What is a KV cache?\\r"]',
    '["resize", {"width": 160, "height": 48}]',
    '["resize", {"width": 1000000000, "height": -1}]',
    '["stdin", 7]',
    '["quit"]',
    "{}",
    "[" * 100_000,
    "\x00",
)


@dataclass(frozen=True)
class Outcome:
    """What became of the tabs."""

    tried: int
    survived: int
    """Those of which no process is left."""
    lost: int
    """Processes that still run."""


@asynccontextmanager
async def tab(server: Served, width: int = 80) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a tab; at the end the connection is dropped without a goodbye.

    Raises:
        aiohttp.WSServerHandshakeError: the server refuses it.
    """
    token = server.url.partition("/?")[2]
    async with aiohttp.ClientSession() as session:
        address = f"{server.origin}/ws?width={width}&height=24&{token}"
        # Not as a context manager: that would close the websocket in an orderly way. It has a name, because
        # the connection ends with the last reference to it.
        socket = await session.ws_connect(address, headers={"Origin": server.origin})
        yield socket


def drop_tabs(server: Served, count: int, seed: int) -> Outcome:
    """Open tabs, some at a time, send messages and garbage, and drop them at random moments."""
    rng = random.Random(seed)
    stays = [rng.uniform(0, STAY_SECONDS) * rng.choice((0, 1, 1)) for _ in range(count)]
    seen: set[psutil.Process] = set()
    asyncio.run(_drop(server, [(stay, rng.sample(MESSAGES, 3)) for stay in stays], seen))
    with suppress(TimeoutError):
        until(lambda: not any(map(runs, seen)) and not server.apps(), "the end of the tabs", seconds=60)
    left = set(filter(runs, seen)) | set(server.apps())
    apps = {process.pid for process in left} & {process.pid for process in server.apps()}
    return Outcome(count, count - min(count, max(len(apps), bool(left))), len(left))


async def _drop(server: Served, plans: list[tuple[float, list[str]]], seen: set[psutil.Process]) -> None:
    free = asyncio.Semaphore(AT_A_TIME)

    async def visit(stay: float, messages: list[str]) -> None:
        async with free, tab(server) as socket:
            for message in messages:
                with suppress(ConnectionError):
                    await socket.send_str(message)
            await asyncio.sleep(stay)
            seen.update(server.process.children(recursive=True))

    await asyncio.gather(*(visit(*plan) for plan in plans))

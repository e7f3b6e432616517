"""Tabs of the served app, through a plain websocket client: their number, their messages, their end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import psutil
import pytest
from aiohttp import WSCloseCode, WSMsgType

from app.state.settings.settings import Settings, save_settings
from engines.worker.process_tree import runs
from screenshots.served import Served, served, until
from tests.app.conftest import OPENVINO
from tests.faults.serve_tabs import drop_tabs, tab

TABS = 5
GARBAGE = ("", "[", "7", '["stdin"]', '["resize", "wide"]', '["stdin", "\\ud800"]', "[" * 50_000)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of the servers of this file, with settings whose engines start in a second."""
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(chosen=True, welcomed=True, left=OPENVINO, right=OPENVINO)
    save_settings(folder / "settings.toml", settings)
    names = ("CONFIG", "CACHE", "DATA", "STATE")
    folders = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in names}
    return folders | {"TRT_PLAYGROUND_CONFIG": str(folder / "settings.toml"), "HF_HOME": str(folder / "hub")}


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[Served]:
    """One for the tests of this file; each leaves it without tabs."""
    with served("--tabs", str(TABS), environment=environment) as running:
        yield running


async def app_of(server: Served, width: int) -> psutil.Process:
    """Wait for the process of a tab, which is known by its width."""

    def found() -> list[psutil.Process]:
        return [app for app in server.apps() if _columns(app) == str(width)]

    await asyncio.to_thread(until, lambda: bool(found()), "the app")
    return found()[0]


def _columns(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return process.environ().get("COLUMNS")
    return None


async def pong(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the server answers a ping."""
    await socket.send_json(["ping", 7])
    async for message in socket:
        if message.type is WSMsgType.TEXT and message.json() == ["pong", 7]:
            return
    pytest.fail("the connection was closed")


async def goodbye(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Wait until the server closes the connection; returns the code and the reason."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.CLOSE:
            return message.data, message.extra or ""
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT)


async def until_gone(processes: list[psutil.Process]) -> None:
    """Wait until none of the processes runs."""
    await asyncio.to_thread(until, lambda: not any(map(runs, processes)), "the end of the tab")


def test_tabs_that_are_dropped_at_random_moments_leave_nothing(server: Served) -> None:
    """Most of them before their app has started."""
    outcome = drop_tabs(server, 20, seed=1)
    assert (outcome.tried, outcome.survived, outcome.lost) == (20, 20, 0)


@pytest.mark.parametrize("state", ["starting", "with engines", "busy"])
async def test_a_dropped_tab_ends_in_every_state(server: Served, state: str) -> None:
    """Also where the app neither reads nor handles a signal, as a process that is stopped."""
    async with tab(server, width=101):
        app = await app_of(server, 101)
        if state != "starting":
            await asyncio.to_thread(until, lambda: len(app.children()) == 2, "its engines")
        processes = [app, *app.children(recursive=True)]
        if state != "with engines":
            app.suspend()
    await until_gone(processes)


async def test_one_tab_more_than_the_limit_is_told_so(server: Served) -> None:
    """It takes the place of the first tab that is closed."""
    async with tab(server) as first, tab(server), tab(server), tab(server):
        async with tab(server):
            await asyncio.to_thread(until, lambda: len(server.apps()) == TABS, "the apps")
            async with tab(server) as one_more:
                code, reason = await goodbye(one_more)
            assert code == WSCloseCode.TRY_AGAIN_LATER
            assert reason.startswith(f"{TABS} tabs are open")
            assert "--tabs" in reason
            assert len(server.apps()) == TABS
        await pong(first)
        async with tab(server) as next_one:
            await pong(next_one)
            assert len(server.apps()) <= TABS
    await until_gone(server.apps())


async def test_garbage_and_floods_do_not_touch_other_tabs(server: Served) -> None:
    """An app that reads nothing gets more than is kept for it; garbage is dropped."""
    async with tab(server) as one, tab(server) as other:
        for garbage in GARBAGE:
            await one.send_str(garbage)
        await one.send_bytes(b"\x00\xff")
        await asyncio.to_thread(until, lambda: len(server.apps()) == 2, "the apps")
        apps = server.apps()
        for app in apps:
            app.suspend()
        for _ in range(20):
            await one.send_json(["stdin", "x" * 1_000_000])
        await pong(other)
        await pong(one)
    await until_gone(apps)


async def test_the_page_is_told_that_its_app_has_died(server: Served) -> None:
    """It would wait for ever otherwise."""
    async with tab(server, width=102) as socket:
        (await app_of(server, 102)).kill()
        code, reason = await goodbye(socket)
    assert code == WSCloseCode.INTERNAL_ERROR
    assert "ended unexpectedly" in reason


@pytest.mark.parametrize("name", ["SIGHUP", "SIGKILL"])
async def test_the_end_of_the_server_ends_its_tabs(environment: dict[str, str], name: str) -> None:
    """A second signal meanwhile changes nothing; a terminal that is closed sends two."""
    with served(environment=environment) as server:
        async with tab(server, width=103) as socket:
            app = await app_of(server, 103)
            await socket.receive()  # the first frame: the app has started
            for _ in range(2):
                server.process.send_signal(signal.Signals[name])
            if name != "SIGKILL":
                code, reason = await goodbye(socket)
                assert code == WSCloseCode.GOING_AWAY
                assert "server has ended" in reason
            await until_gone([app, server.process])

"""The app process of one browser tab: what goes in and out, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

import psutil
from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from engines.worker.process_tree import ProcessTree, runs

INPUT_LIMIT = 16 * 1024 * 1024
"""Bytes that wait for an app which does not read; what is typed or pasted beyond them is dropped."""
END_SECONDS = 2.0
"""How long an app may take to end after SIGTERM. One that is starting ends immediately, an idle one
within half a second; one that is busy, or waits for a slow browser, does not handle the signal."""
KILL_SECONDS = 5.0
DRIVER = "app.cli.web.driver:TabDriver"
CRASHED = "The app has ended unexpectedly. The terminal of `trt-playground serve` shows why."
TICK_SECONDS = 0.02


class Tab(AppService):
    """Starts the app for one websocket.

    Attributes:
        ended: set when the app has ended or is to end.
        end_code: of the websocket.
        end_reason: why, as the page shows it; empty if the user has quit.
    """

    def __init__(
        self, command: list[str], websocket: web.WebSocketResponse, downloads: DownloadManager
    ) -> None:
        super().__init__(
            shlex.join(command),
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=self._quit,
            download_manager=downloads,
        )
        self._arguments = command
        self._ending: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        self.end_code = WSCloseCode.OK
        self.end_reason = ""
        self._has_quit = False

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # In its own session: Ctrl+C in the server's terminal must not reach it before the server ends it.
        process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height) | {"TEXTUAL_DRIVER": DRIVER},
            start_new_session=True,
        )
        self._process, self._stdin = process, process.stdin
        return process

    async def run(self) -> None:
        """Send the app's output to the browser until the app ends."""
        try:
            await super().run()
        finally:
            self.end(CRASHED, WSCloseCode.INTERNAL_ERROR)

    def end(self, reason: str, code: WSCloseCode) -> None:
        """Have the tab ended for this reason, unless it has another already."""
        if not self.ended.is_set():
            self.end_reason, self.end_code = reason, code
            self.ended.set()

    async def _quit(self) -> None:
        self._has_quit = True
        self.end("", WSCloseCode.OK)

    async def send_bytes(self, data: bytes) -> bool:
        """Send keys to the app; returns whether they were sent."""
        return self._send(b"D", data)

    async def send_meta(self, data: dict[str, str | int | bool | None]) -> bool:
        """Send a message of textual-serve to the app; returns whether it was sent."""
        return self._send(b"M", json.dumps(data).encode())

    def _send(self, kind: bytes, payload: bytes) -> bool:
        # Not drained: waiting for an app that does not read would hide that the browser is gone.
        transport = self.stdin.transport
        if transport.is_closing() or transport.get_write_buffer_size() > INPUT_LIMIT:
            return False
        self.stdin.write(kind + len(payload).to_bytes(4, "big") + payload)
        return True

    async def stop(self) -> None:
        """End the app and its workers, in every state; returns when they have ended."""
        if self._process is not None:
            self._ending = self._ending or asyncio.create_task(self._end(self._process))
            await asyncio.shield(self._ending)

    async def _end(self, process: Process) -> None:
        assert self._task is not None
        await self._download_manager.cancel_app_downloads(self.app_service_id)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # An app that writes its last frame must not wait for a reader.
        outputs = asyncio.gather(*(_discard(pipe) for pipe in (process.stdout, process.stderr) if pipe))
        tree = ProcessTree(process.pid)
        members = tree.members()  # a worker leads its own session: it is not found once the app has ended
        if not self._has_quit:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await _wait_until(lambda: process.returncode is not None, END_SECONDS)
        members = list({*members, *tree.members()})
        for member in members:
            with contextlib.suppress(psutil.Error):
                member.kill()
        await _wait_until(
            lambda: process.returncode is not None and not any(map(runs, members)), KILL_SECONDS
        )
        outputs.cancel()
        self.stdin.close()


async def _discard(pipe: asyncio.StreamReader) -> None:
    while await pipe.read(64 * 1024):
        pass


async def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    # Not `Process.wait`: since Python 3.12 it waits for the pipes too, which a worker may hold.
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(TICK_SECONDS)

"""Textual's driver for the web, which also ends the app once the server is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from functools import partial

from textual import messages
from textual.drivers.web_driver import WebDriver

EXIT_SECONDS = 3.0
"""How long the app may take to end once the server is gone. A busy app would never do it."""


class TabDriver(WebDriver):
    """Reads what the server sends, and ends the app when nothing can come any more."""

    def start_application_mode(self) -> None:
        """Start it, and remember the loop for the thread that reads."""
        self._loop = asyncio.get_running_loop()
        write: Callable[[bytes], int] = self._write

        def write_if_read(data: bytes) -> int:
            with contextlib.suppress(BrokenPipeError):  # the end of the input ends the app
                return write(data)
            return len(data)

        self._write = partial(write_if_read)
        super().start_application_mode()

    def run_input_thread(self) -> None:
        """Pass on the input until it ends."""
        super().run_input_thread()
        if self.exit_event.is_set():
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended
            asyncio.run_coroutine_threadsafe(self._app._post_message(messages.ExitApp()), self._loop)
        if not self.exit_event.wait(EXIT_SECONDS):
            os._exit(1)

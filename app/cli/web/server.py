"""The web server: textual-serve's, with a token, a limit on tabs, and tabs that end with their browser."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import signal
import socket
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from app.cli.web import messages, pages
from app.cli.web.access import Access
from app.cli.web.address import Address
from app.cli.web.tab import Tab

HEARTBEAT_SECONDS = 15.0
"""A browser that does not answer a ping within half of it is gone: a closed laptop, a lost network."""
CLOSE_SECONDS = 1.0
"""How long a browser may take to confirm the end of its connection."""
SHUTDOWN_SECONDS = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SERVER_ENDED = "The server has ended, and the app with it."
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PlaygroundServer(Server):
    """Serves the app at one address to those who know the token."""

    def __init__(self, command: list[str], address: Address, access: Access, max_tabs: int) -> None:
        """Create it.

        Args:
            command: starts the app.
            max_tabs: how many apps may run at the same time.
        """
        super().__init__(
            shlex.join(command),
            address.host,
            address.port,
            title="trt-playground",
            public_url=f"http://{address.netloc}",
        )
        self._arguments = command
        self._address = address
        self._access = access
        self._max_tabs = max_tabs
        self._tabs: set[Tab] = set()
        """Those with a browser."""
        self._slots = asyncio.Semaphore(max_tabs)
        """One for each app that may run, those included that are being ended."""

    async def run(self, sockets: list[socket.socket], on_ready: Callable[[], None]) -> None:
        """Serve until Ctrl+C, SIGTERM or SIGHUP; then end all tabs.

        Args:
            sockets: listen on the address.
            on_ready: called when the page can be opened.
        """
        logging.basicConfig(level=logging.WARNING)
        ended = asyncio.Event()
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
        # No access log: the token is in the URLs.
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            for one in sockets:
                await web.SockSite(runner, one).start()
            on_ready()
            await ended.wait()
        finally:
            await runner.cleanup()

    async def _make_app(self) -> web.Application:
        application: web.Application = await super()._make_app()
        application.middlewares.append(self._admit)
        application.on_response_prepare.append(self._add_headers)
        return application

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: `on_ready` does, once the page can be opened."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End all tabs; their handlers wait for it."""
        for tab in self._tabs:
            tab.end(SERVER_ENDED, WSCloseCode.GOING_AWAY)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 403 to a request for another host, or without the token."""
        own_netloc = self._address.own_netloc(request.headers.getall("Host", []))
        if own_netloc is None:
            return pages.wrong_host()
        if not self._access.admits(request):
            return pages.token_required()
        request["own_netloc"] = own_netloc
        return await handler(request)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        # The template loads a font from Google. The page works without it, and makes no external requests.
        response.headers["Content-Security-Policy"] = (
            "style-src 'self' 'unsafe-inline'; font-src 'self' data:; frame-ancestors 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """Return the page of textual-serve with this app's words, for the name that the browser uses."""
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        text = (page.text or "").replace(f"//{self._address.netloc}/", f"//{request['own_netloc']}/")
        page.text = pages.with_our_parts(text)
        page.headers["Cache-Control"] = "no-store"
        self._access.remember(page)
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the app for a tab if the request comes from the server's own page, else answer 403.

        Otherwise any website in the same browser could start the app through the port.
        """
        if request.headers.get("Origin") not in self._address.origins(request["own_netloc"]):
            raise web.HTTPForbidden(text="Blocked: this site is not allowed to connect.")
        websocket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, timeout=CLOSE_SECONDS)
        await websocket.prepare(request)
        if len(self._tabs) >= self._max_tabs:
            words = f"{self._max_tabs} tabs are open, which is the limit. Close one, or use `serve --tabs N`."
            await _close(websocket, WSCloseCode.TRY_AGAIN_LATER, words)
            return websocket
        tab = Tab(self._arguments, websocket, self.download_manager)
        self._tabs.add(tab)
        try:
            async with self._slots:
                if request.transport and not request.transport.is_closing():
                    await self._run_tab(tab, websocket, messages.first_size(request))
        finally:
            self._tabs.discard(tab)
            if request.transport:
                request.transport.abort()  # a browser that does not read would keep the connection
        return websocket

    async def _run_tab(self, tab: Tab, websocket: web.WebSocketResponse, size: messages.Size) -> None:
        """Run the app until it ends, its browser is gone, or the server ends; then end it."""
        if not tab.ended.is_set():
            try:
                await tab.start(size.width, size.height)
            except OSError as error:
                tab.end(f"The app cannot be started: {error.strerror}.", WSCloseCode.INTERNAL_ERROR)
        tasks = [
            asyncio.create_task(self._process_messages(websocket, tab)),
            asyncio.create_task(tab.ended.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tabs.discard(tab)  # a tab that is reloaded takes the place of the one before
            await asyncio.gather(tab.stop(), _close(websocket, tab.end_code, tab.end_reason))

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        """Pass on what the browser sends until it is gone; invalid messages are dropped."""
        async for received in websocket:
            message = messages.decode(received.data) if received.type is WSMsgType.TEXT else None
            match message:
                case messages.Stdin(data):
                    await app_service.send_bytes(data.encode())
                case messages.Resize(size):
                    await app_service.set_terminal_size(size.width, size.height)
                case messages.Ping(data):
                    await websocket.send_json(["pong", data])
                case messages.Blur():
                    await app_service.blur()
                case messages.Focus():
                    await app_service.focus()


async def _close(websocket: web.WebSocketResponse, code: int, reason: str) -> None:
    with contextlib.suppress(TimeoutError):  # a browser that does not read
        await asyncio.wait_for(websocket.close(code=code, message=reason.encode()), 2 * CLOSE_SECONDS)

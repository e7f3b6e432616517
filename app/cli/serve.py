"""`trt-playground serve`: the app in a browser through textual-serve, one process per tab."""

from __future__ import annotations

import shlex
import socket
import sys
import webbrowser

import typer
from aiohttp import web
from textual_serve.server import Server

LOOPBACK = ("127.0.0.1", "localhost")
DEFAULT_END_MESSAGE = "Session ended."
END_MESSAGE = (
    "This session has ended and its engines are closed. After a restart, F3 lists your conversations."
)


class PlaygroundServer(Server):
    """A textual-serve server that accepts connections from its own page only.

    Otherwise any website in the same browser could start the app through the port.
    """

    @property
    def origins(self) -> list[str]:
        """Origins that the page may be loaded from."""
        return sorted({self.public_url, *(f"http://{name}:{self.port}" for name in LOOPBACK)})

    async def _make_app(self) -> web.Application:
        application: web.Application = await super()._make_app()
        application.on_response_prepare.append(self._forbid_external)
        return application

    async def _forbid_external(self, request: web.Request, response: web.StreamResponse) -> None:
        # The template loads a font from Google. The page works without it, and makes no external requests.
        allowed = " ".join(["'self'", *self.origins])
        response.headers["Content-Security-Policy"] = (
            f"style-src {allowed} 'unsafe-inline'; font-src {allowed} data:"
        )

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """Return the page of textual-serve with this app's message for an ended session."""
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        page.text = (page.text or "").replace(DEFAULT_END_MESSAGE, END_MESSAGE)
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start the app for a tab if the request comes from the server's own page, else answer 403."""
        if request.headers.get("Origin") not in self.origins:
            raise web.HTTPForbidden(text="Blocked: this site is not allowed to connect.")
        response: web.WebSocketResponse = await super().handle_websocket(request)
        return response


def serve_playground(host: str, port: int, show: bool, arguments: list[str]) -> None:
    """Serve until Ctrl+C.

    Raises:
        typer.Exit: the server cannot listen on the address; the reason has been printed.
    """
    _check_address(host, port)
    if host not in LOOPBACK:
        typer.echo(
            f"Warning: anyone who can reach {host}:{port} can use the app and, through it, read your files. "
            "There is no password.",
            err=True,
        )
    # -P: do not import a folder named `app` from the working directory.
    command = "exec " + shlex.join([sys.executable, "-P", "-m", "app", *arguments])
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    server = PlaygroundServer(
        command, host=host, port=port, title="trt-playground", public_url=f"http://{name}:{port}"
    )
    if show:
        webbrowser.open(server.public_url)
    server.serve()


def _check_address(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        typer.echo(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another port with --port.", err=True
        )
        raise typer.Exit(1) from error

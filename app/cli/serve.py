"""`trt-playground serve`: the app in a browser, a process of its own for every tab, through textual-serve."""

from __future__ import annotations

import shlex
import socket
import sys
import webbrowser

import typer
from aiohttp import web
from textual_serve.server import Server

LOOPBACK = ("127.0.0.1", "localhost")
THEIR_LAST_WORDS = "Session ended."
LAST_WORDS = "trt-playground has ended in this tab, and its engines are closed. F3 brings back what was said."


class PlaygroundServer(Server):
    """Answers only its own page: a page of the web that knows the port may not open the app."""

    @property
    def origins(self) -> list[str]:
        """Where our page may have come from."""
        names = {self.public_url, *(f"http://{name}:{self.port}" for name in LOOPBACK)}
        return sorted(names)

    async def _make_app(self) -> web.Application:
        made: web.Application = await super()._make_app()
        made.on_response_prepare.append(self._keep_local)
        return made

    async def _keep_local(self, request: web.Request, response: web.StreamResponse) -> None:
        # The template asks Google for a font. The page works without it, and nothing leaves the machine.
        places = " ".join(["'self'", *self.origins])
        response.headers["Content-Security-Policy"] = (
            f"style-src {places} 'unsafe-inline'; font-src {places} data:"
        )

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page of textual-serve, with words of ours where the app has ended."""
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        page.text = (page.text or "").replace(THEIR_LAST_WORDS, LAST_WORDS)
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start the app of a tab, if the tab shows our page."""
        if request.headers.get("Origin") not in self.origins:
            raise web.HTTPForbidden(text="This page may not open the playground.")
        answer: web.WebSocketResponse = await super().handle_websocket(request)
        return answer


def serve_playground(host: str, port: int, show: bool, arguments: list[str]) -> None:
    """Serve until Ctrl+C.

    Raises:
        typer.Exit: the address cannot be listened on; why has been printed.
    """
    _check_address(host, port)
    if host not in LOOPBACK:
        typer.echo(
            f"Warning: whoever reaches {host}:{port} can use the app and, through it, your files. "
            "There is no password.",
            err=True,
        )
    # -P: a folder named app where the command was typed is not ours.
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
            f"{host}:{port} cannot be used: {error.strerror}. Choose another port with --port.", err=True
        )
        raise typer.Exit(1) from error

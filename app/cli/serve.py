"""`trt-playground serve`: the app in a browser through textual-serve, one process per tab."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import threading
import webbrowser
from typing import NoReturn

import typer

from app.cli.output import echo
from app.cli.web.access import Access
from app.cli.web.address import Address, listen, resolve
from app.cli.web.server import PlaygroundServer

TOKEN_VARIABLE = "TRT_PLAYGROUND_TOKEN"


def serve_playground(
    host: str, port: int, token: str | None, with_token: bool, max_tabs: int, show: bool, arguments: list[str]
) -> None:
    """Serve until Ctrl+C.

    Args:
        port: 0 takes a free one.
        token: opens the page; None: a random one.
        with_token: False: no token is needed; on loopback only.
        max_tabs: how many tabs may be open.
        show: whether to open the page in the browser.
        arguments: of the app in each tab.

    Raises:
        typer.Exit: the server cannot listen on the address, or the token cannot be used; the reason has been
            printed.
    """
    os.environ.pop(TOKEN_VARIABLE, None)  # the apps need not know it
    address, sockets = _listen(host, port, with_token)
    access = Access(_token(token) if with_token else None, address.port)
    # -P: do not import a folder named `app` from the working directory.
    server = PlaygroundServer([sys.executable, "-P", "-m", "app", *arguments], address, access, max_tabs)

    def announce() -> None:
        echo(f"Open in a browser:  http://{address.netloc}{access.path()}")
        echo("Ctrl+C ends the server and the app in every tab.")
        if not address.is_loopback:
            echo(
                "Whoever has this address can use the app and, through it, read your files. "
                "The connection is not encrypted.",
                err=True,
            )
        if show:
            url = f"http://{address.netloc}{access.path_for_one_use()}"
            # A text browser returns when it is closed.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    asyncio.run(server.run(sockets, announce))


def _token(given: str | None) -> str:
    if given is None:
        return secrets.token_urlsafe()
    if not given.strip() or not given.isprintable():
        _refuse("The token is empty or has characters that cannot be typed. Choose another with --token.")
    return given


def _listen(host: str, port: int, with_token: bool) -> tuple[Address, list[socket.socket]]:
    try:
        address = resolve(host, port)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be a host name"
        _refuse(f"Cannot listen on {host!r}: {reason}. Choose another address with --host.")
    if not (with_token or address.is_loopback):
        _refuse(
            f"Other machines can reach {host or 'this machine'}, and without a token anyone could use the "
            "app and read your files. Leave out --no-token, or --host."
        )
    try:
        return listen(address)
    except OSError as error:
        _refuse(
            f"Cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}. Choose another port with "
            "--port, or another address with --host."
        )


def _refuse(reason: str) -> NoReturn:
    echo(reason, err=True)
    raise typer.Exit(1)

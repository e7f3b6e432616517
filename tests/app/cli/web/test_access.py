"""Who may open the served app: token, cookie, host name, and the address that the server listens on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner
from yarl import URL

from app.cli.main import cli
from app.cli.web.address import resolve
from screenshots.served import Served, served, until

TOKEN = "a+b/c d&é"
ORIGIN = "http://127.0.0.1"
BROWSER = """#!/bin/sh
echo "$1" > "$(dirname "$0")/opened.tmp"
mv "$(dirname "$0")/opened.tmp" "$(dirname "$0")/opened"
"""


def has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """One whose token has characters that a URL must quote."""
    with served(environment={"TRT_PLAYGROUND_TOKEN": TOKEN}) as running:
        yield running


@pytest.fixture
async def client(server: Served) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that has no cookie yet."""
    async with aiohttp.ClientSession(server.origin, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/download/7", "/none"])
@pytest.mark.parametrize("query", [{}, {"token": ""}, {"token": "wrong"}, {"token": f"{TOKEN}x"}], ids=str)
async def test_nothing_opens_without_the_token(
    server: Served, client: aiohttp.ClientSession, path: str, query: dict[str, str]
) -> None:
    """The answer says what to do; no app is started."""
    headers = {"Origin": server.origin, "Cookie": "trt-playground=wrong"}
    async with client.get(path, params=query, headers=headers) as answer:
        assert answer.status == 403
        assert "printed in its terminal" in await answer.text()
        assert TOKEN not in await answer.text()
    assert server.apps() == []


async def test_the_token_opens_the_page_and_stays_in_a_cookie(
    server: Served, client: aiohttp.ClientSession
) -> None:
    """Afterwards the address needs no token. The cookie does not contain it, and no script can read it."""
    async with client.get(URL(server.url)) as answer:
        assert answer.status == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        [cookie] = answer.cookies.values()
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    for path in ("/", "/static/js/textual.js"):
        async with client.get(path) as answer:
            assert answer.status == 200
    async with client.ws_connect("/ws", headers={"Origin": server.origin}) as tab:
        await tab.send_json(["ping", 1])
        assert await tab.receive_json() == ["pong", 1]
    until(lambda: not server.apps(), "the end of the tab")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),  # a port that ssh forwards
        ("127.0.0.1", 200),
        ("[::1]:9000", 200),
        ("LOCALHOST.:80", 200),
        ("elsewhere.example", 403),
        ("127.0.0.1.elsewhere.example:80", 403),
        ("localhost@elsewhere.example", 403),
        ("192.0.2.1", 403),
        ("0.0.0.0", 403),
        ("", 403),
    ],
)
async def test_the_server_answers_to_its_own_names(
    server: Served, client: aiohttp.ClientSession, host: str, status: int
) -> None:
    """A foreign name may point here: DNS rebinding. The page connects to the name that it was opened by."""
    async with client.get(URL(server.url), headers={"Host": host}) as answer:
        assert answer.status == status
        assert (f"ws://{host.lower()}/ws" in await answer.text()) == (status == 200)


async def test_only_its_own_pages_connect(server: Served, client: aiohttp.ClientSession) -> None:
    """The browser has the cookie, and another site opens the socket."""
    await client.get(URL(server.url))
    for origin in ("http://elsewhere.example", "null", f"{server.origin}0", ""):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws", headers={"Origin": origin})
    assert server.apps() == []


async def test_the_browser_gets_a_token_for_one_use(tmp_path: Path) -> None:
    """Other users can read its command line."""
    script = tmp_path / "browser"
    script.write_text(BROWSER)
    script.chmod(0o755)
    opened = tmp_path / "opened"
    with served("--open", environment={"BROWSER": f"{script} %s"}) as server:
        until(opened.exists, "the browser")
        url = URL(opened.read_text().strip(), encoded=True)
        assert url.query["token"] not in server.url
        async with aiohttp.ClientSession() as session:
            statuses = [(await session.get(url)).status for _ in range(2)]
        # aiohttp keeps cookies of an IP address only with `unsafe`.
        assert statuses == [200, 403]


@pytest.mark.parametrize("host", ["::1", "localhost"])
async def test_other_loopback_addresses(host: str) -> None:
    """Without a token, because only this machine can connect."""
    if not has_ipv6():
        pytest.skip("needs IPv6")
    with served("--host", host, "--no-token") as server:
        async with aiohttp.ClientSession(server.origin) as session:
            async with session.get("/") as answer:
                assert answer.status == 200
            async with session.ws_connect("/ws", headers={"Origin": server.origin}) as tab:
                await tab.send_json(["ping", 1])
                assert await tab.receive_json() == ["pong", 1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0", "192.0.2.1", "::ffff:192.0.2.1"])
def test_no_token_beyond_loopback_is_refused(host: str) -> None:
    """In every notation."""
    outcome = CliRunner().invoke(cli, ["serve", "--host", host, "--no-token"])
    assert outcome.exit_code == 1
    assert "Other machines can reach" in outcome.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--token", ""), "token is empty"),
        (("--token", " "), "token is empty"),
        (("--token", "a\nb"), "cannot be typed"),
        (("--token", "one", "--no-token"), "either --token"),
        (("--host", "no host"), "Choose another address with --host"),
        (("--host", "a..b"), "Choose another address with --host"),
        (("--host", "192.0.2.1"), "Choose another port with --port, or another address"),
        (("--tabs", "0"), "--tabs"),
    ],
)
def test_what_cannot_be_served_is_said(options: tuple[str, ...], words: str) -> None:
    """In one line, before anything listens."""
    outcome = CliRunner().invoke(cli, ["serve", "--port", "0", *options])
    assert outcome.exit_code in (1, 2)
    assert words in " ".join(outcome.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "127.1", "[::1]", "::ffff:127.0.0.1", "LocalHost"]
)
def test_loopback_addresses_are_recognised(host: str) -> None:
    """In every spelling that the system knows."""
    assert resolve(host, 80).is_loopback

"""The app in a real browser: an answer of the real engines, and nothing left when the tab is closed."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from screenshots.browser import COMMAND, Served, ask_in_browser, has_browser, served, until


@pytest.fixture
def server(own_folders: Path) -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.mark.skipif(not has_browser(), reason="needs Chromium: apt-get install chromium chromium-driver")
def test_a_tab_answers_and_leaves_nothing(server: Served, tmp_path: Path) -> None:
    """What is typed in the page is answered and saved; the closed tab takes its app and workers with it."""
    tab = ask_in_browser(server, "What is a KV cache?", tmp_path)
    assert (tmp_path / "browser.png").stat().st_size > 10_000
    until(lambda: not any(one.is_running() for one in tab), "the end of the tab's processes")


def test_a_foreign_page_may_not_open_the_app(server: Served) -> None:
    """The port is open to every page in the browser; the app is not."""
    request = urllib.request.Request(f"{server.url}/ws", headers={"Origin": "http://elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
    assert server.process.children() == []


def test_the_page_asks_nobody_else(server: Served) -> None:
    """The template names a font of another host: the policy of the answer forbids the browser to fetch it."""
    policy = urllib.request.urlopen(server.url).headers["Content-Security-Policy"]
    assert "font-src 'self'" in policy
    assert "style-src 'self'" in policy


def test_a_taken_port_is_said() -> None:
    """In words, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [COMMAND, "serve", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr

"""The app in a real browser: an answer of the real engines, and nothing left when the tab is closed."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app.state.settings.paths import settings_file
from app.state.settings.settings import Settings, save_settings
from screenshots.browser import (
    ask,
    ask_in_browser,
    chromium,
    focus_terminal,
    has_browser,
    new_app,
    open_tab,
    process_tree,
)
from screenshots.served import COMMAND, Served, served, until
from tests.app.conftest import OPENVINO

pytestmark = pytest.mark.timeout(600)
in_chromium = pytest.mark.skipif(
    not has_browser(), reason="needs Chromium: apt-get install chromium chromium-driver"
)


def ended(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs any more."""
    return not any(one.is_running() for one in processes)


@pytest.fixture
def server(own_folders: Path) -> Iterator[Served]:
    """Two engines that start in a second; PyTorch takes eight."""
    settings = Settings(chosen=True, welcomed=True, left=OPENVINO, right=OPENVINO)
    save_settings(settings_file(), settings)
    with served() as running:
        yield running


@in_chromium
def test_a_tab_answers_and_leaves_nothing(server: Served, tmp_path: Path) -> None:
    """What is typed in the page is answered and saved; the closed tab takes its app and workers with it."""
    tab = ask_in_browser(server, "What is a KV cache?", tmp_path)
    assert (tmp_path / "browser.png").stat().st_size > 10_000
    until(lambda: ended(tab), "the end of the tab's processes")


@in_chromium
def test_two_tabs_live_apart(server: Served, tmp_path: Path) -> None:
    """Each tab has its own app; closing one tab ends only that app."""
    with chromium(tmp_path) as browser:
        open_tab(browser, server)
        ask(browser, "Who is there?")
        [one] = server.apps()
        browser.switch_to.new_window("tab")
        open_tab(browser, server)
        ask(browser, "Who else?")
        [other] = [found for found in server.apps() if found != one]
        first, second = process_tree(one), process_tree(other)
        assert len(one.children()) == len(other.children()) == 2
        browser.close()
        until(lambda: ended(second), "the end of the closed tab's processes")
        browser.switch_to.window(browser.window_handles[0])
        focus_terminal(browser)
        ask(browser, "Still there?")
    until(lambda: ended(first), "the end of the last tab's processes")
    assert server.process.is_running()


@in_chromium
def test_a_reload_begins_anew_and_ctrl_q_ends(server: Served, tmp_path: Path) -> None:
    """Nothing of what was reloaded or quit is left; the page says what happened and offers to begin again."""
    with chromium(tmp_path) as browser:
        app = open_tab(browser, server)
        ask(browser, "Who is there?")
        before = process_tree(app)
        browser.refresh()
        until(lambda: ended(before), "the end of what was reloaded")
        app = new_app(browser, server, set())
        ask(browser, "And now?")
        before = process_tree(app)
        ActionChains(browser).key_down(Keys.CONTROL).send_keys("q").key_up(Keys.CONTROL).perform()
        until(lambda: ended(before), "the end of the app that was quit")
        words = browser.find_element("css selector", ".closed-dialog")
        until(lambda: "its engines are closed" in words.text, "the last words")
        browser.save_screenshot(str(tmp_path / "ended.png"))
        words.find_element("css selector", "button").click()
        new_app(browser, server, set())
    until(lambda: not server.apps(), "the end of the last app")


def test_no_other_page_opens_the_app_and_no_other_host_is_asked(server: Served) -> None:
    """The port is open to every page in the browser; the app is not.

    The template names a font of another host: the policy of the answer forbids the browser to fetch it.
    """
    request = urllib.request.Request(
        f"{server.origin}/ws?{server.url.partition('?')[2]}", headers={"Origin": "http://elsewhere.example"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
    assert server.apps() == []
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

"""The served app in a real browser, headless: for its picture, and for the test that drives it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import psutil
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app.state.conversation.conversation_file import Record, read_record
from app.state.settings.paths import conversation_folder

COMMAND = str(Path(sys.executable).with_name("trt-playground"))
FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
WINDOW = "--window-size=1400,900"
TOAST_SECONDS = 4.0


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    process: psutil.Process
    url: str


def has_browser() -> bool:
    """Whether Chromium and its driver are installed."""
    return bool(which("chromium") and which("chromedriver"))


def until(condition: Callable[[], bool], what: str, seconds: float = 200) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come")
        time.sleep(0.3)


@contextmanager
def served() -> Iterator[Served]:
    """Serve the demo checkpoint on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [COMMAND, "serve", "--port", str(port), "-m", "demo"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen(url).status == 200)
        except OSError:
            return False

    try:
        until(answers, "the server")
        yield Served(psutil.Process(process.pid), url)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


@contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(which("chromium"))
    for flag in (*FLAGS.split(), WINDOW, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver"))) as browser:
        yield browser


def open_tab(browser: webdriver.Chrome, server: Served) -> psutil.Process:
    """Show the app in the tab that has the focus, or show it anew; returns the app's process."""
    before = set(server.process.children())
    browser.get(server.url)
    return new_app(browser, server, before)


def new_app(browser: webdriver.Chrome, server: Served, before: set[psutil.Process]) -> psutil.Process:
    """Wait for the app that a page starts, and give it the keyboard."""
    until(lambda: bool(browser.find_elements("css selector", "body.-first-byte")), "the first frame")
    until(lambda: bool(set(server.process.children()) - before), "the app")
    [app] = set(server.process.children()) - before
    # Its engines start after the first frame; before that no widget takes keys.
    until(lambda: bool(app.children()), "its engines")
    browser.find_element("id", "terminal").click()
    return app


def family(app: psutil.Process) -> list[psutil.Process]:
    """An app and its workers."""
    return [app, *app.children(recursive=True)]


def ask(browser: webdriver.Chrome, prompt: str) -> None:
    """Type a prompt into the tab that has the focus, and wait until both sides have answered it."""
    ActionChains(browser).send_keys(prompt).perform()

    def sent() -> bool:
        # The page is a canvas: nothing tells when the engines are ready. Until then the prompt is kept.
        ActionChains(browser).send_keys(Keys.ENTER).perform()
        return bool(_asked(prompt))

    until(sent, "the conversation")
    until(lambda: any(map(_answered, _asked(prompt))), "the answers")


def ask_in_browser(server: Served, prompt: str, folder: Path) -> list[psutil.Process]:
    """Open a tab, ask, wait for both answers, and close it; the picture is `folder`/browser.png.

    Returns:
        The processes that the tab had while it was open.
    """
    with chromium(folder) as browser:
        app = open_tab(browser, server)
        ask(browser, prompt)
        tab = family(app)
        time.sleep(TOAST_SECONDS)
        browser.save_screenshot(str(folder / "browser.png"))
    return tab


def _asked(prompt: str) -> list[Record]:
    """The saved conversations that have this prompt."""
    records = [read_record(path) for path in conversation_folder().glob("*.jsonl")]
    return [one for one in records if any(turn.prompt == prompt for turn in one.longest.turns)]


def _answered(record: Record) -> bool:
    """Whether both sides have said the last of what was asked."""
    sides = record.sides.values()
    return all(side.turns and side.turns[-1].reason and side.turns[-1].answer for side in sides)

"""Drive the served app in headless Chromium, for its screenshot and for tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import psutil
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app.state.conversation.conversation_file import Record, read_record
from app.state.settings.paths import conversation_folder
from screenshots.served import Served, until

FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
WINDOW = "--window-size=1400,900"
TOAST_SECONDS = 4.0


def has_browser() -> bool:
    """Return whether Chromium and its driver are installed."""
    return bool(which("chromium") and which("chromedriver"))


@contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """Start a browser with a separate profile in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(which("chromium"))
    for flag in (*FLAGS.split(), WINDOW, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver"))) as browser:
        yield browser


def open_tab(browser: webdriver.Chrome, server: Served) -> psutil.Process:
    """Open or reload the app in the focused tab; return the app's process."""
    before = set(server.apps())
    browser.get(server.url)
    return new_app(browser, server, before)


def new_app(browser: webdriver.Chrome, server: Served, before: set[psutil.Process]) -> psutil.Process:
    """Wait for the app that a page starts and focus its terminal; return the app's process."""
    until(lambda: bool(browser.find_elements("css selector", "body.-first-byte")), "the first frame")
    until(lambda: bool(set(server.apps()) - before), "the app")
    [app] = set(server.apps()) - before
    # Its engines start after the first frame; before that no widget takes keys.
    until(lambda: bool(app.children()), "its engines")
    focus_terminal(browser)
    return app


def focus_terminal(browser: webdriver.Chrome) -> None:
    """Let the terminal of the page take keys; a click could press what the app shows in that place."""
    browser.execute_script("document.querySelector('.xterm-helper-textarea').focus()")


def process_tree(app: psutil.Process) -> list[psutil.Process]:
    """Return an app's process and its workers."""
    return [app, *app.children(recursive=True)]


def ask(browser: webdriver.Chrome, prompt: str) -> None:
    """Type a prompt into the focused tab and wait until both sides have answered."""
    ActionChains(browser).send_keys(prompt).perform()

    def sent() -> bool:
        # The page is a canvas and does not show when the engines are ready. Until then the prompt stays.
        ActionChains(browser).send_keys(Keys.ENTER).perform()
        return bool(_asked(prompt))

    until(sent, "the conversation")
    until(lambda: any(map(_answered, _asked(prompt))), "the answers")


def ask_in_browser(server: Served, prompt: str, folder: Path) -> list[psutil.Process]:
    """Open a tab, send the prompt, wait for both answers, save `folder`/browser.png and close the tab.

    Returns:
        The processes of the tab while it was open.
    """
    with chromium(folder) as browser:
        app = open_tab(browser, server)
        ask(browser, prompt)
        tab = process_tree(app)
        time.sleep(TOAST_SECONDS)
        browser.save_screenshot(str(folder / "browser.png"))
    return tab


def _asked(prompt: str) -> list[Record]:
    """Return the saved conversations that contain this prompt."""
    records = [read_record(path) for path in conversation_folder().glob("*.jsonl")]
    return [one for one in records if any(turn.prompt == prompt for turn in one.longest.turns)]


def _answered(record: Record) -> bool:
    """Return whether both sides have finished the last answer."""
    sides = record.sides.values()
    return all(side.turns and side.turns[-1].reason and side.turns[-1].answer for side in sides)

"""An exception that ends the app: exit status, message, log, the typed text, whatever raised it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.traceback import Traceback
from textual.app import App
from textual.css.query import NoMatches
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from app.crash import write_crash_log
from app.late_errors import is_late
from app.screens.chat import ChatScreen
from app.state.conversation.attachment import Attachment
from app.state.conversation.draft import Draft, DraftFile
from app.state.settings.paths import draft_file, log_folder
from engines.worker.log_files import LOGS_KEPT
from tests.app.still import StillPlayground, chat_answered, chat_empty

SECRET = "a local variable"


class Broken(Static):
    """A widget that raises in the place that its name says."""

    def on_mount(self) -> None:
        """Raise, if that is the place."""
        if self.name == "mount":
            fail()

    def render(self) -> str:
        """Raise, if that is the place."""
        return fail() if self.name == "render" else ""


def fail() -> str:
    secret = SECRET
    raise ValueError(f"no good \x1b[31m{len(secret)}")


def in_thread(app: StillPlayground) -> None:
    """As the thread of Textual's driver does."""
    try:
        fail()
    except ValueError:
        app.call_later(app.panic, Traceback())


PLACES: dict[str, Callable[[StillPlayground], object]] = {
    "message": lambda app: app.call_later(fail),
    "message of a screen": lambda app: app.screen.call_later(fail),
    "message of a widget": lambda app: app.screen.query_one("#prompt").call_later(fail),
    "after a refresh": lambda app: app.call_after_refresh(fail),
    "timer": lambda app: app.set_timer(0.01, fail),
    "task": lambda app: app.screen.run_worker(_fail_later(), exit_on_error=True),
    "mount": lambda app: app.screen.mount(Broken(name="mount")),
    "render": lambda app: app.screen.mount(Broken(name="render")),
    "input thread": in_thread,
    "a query of what is shown": lambda app: app.call_later(app.screen.query_one, "#nothing"),
}


async def _fail_later() -> None:
    await asyncio.sleep(0)
    fail()


@pytest.mark.parametrize("place", PLACES)
async def test_an_exception_ends_the_app_in_order(place: str) -> None:
    """Textual's own hooks lead to the message: it fails if a new Textual calls others."""
    app = StillPlayground("playground-dark", chosen=True)
    app.error_console = Console(file=StringIO(), width=80)
    async with _expected(), app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        assert isinstance(app.screen, ChatScreen)
        app.screen.composer.box.load_text("half a prompt")
        PLACES[place](app)
        async with asyncio.timeout(60):
            while not app.crashed.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert app.return_code == 1
    assert isinstance(app.error_console.file, StringIO)
    shown = app.error_console.file.getvalue()
    _check(shown)
    assert DraftFile(draft_file()).read() == Draft("half a prompt")


@contextlib.asynccontextmanager
async def _expected() -> AsyncIterator[None]:
    """Take the exception that Pilot raises again; it does not for that of the input thread."""
    try:
        yield
    except Exception as error:
        if not re.search("no good|#nothing", repr(error)):
            raise


def _check(shown: str) -> None:
    assert shown.count("ended because of an error") == 1
    assert "trt-playground --continue" in shown
    assert "Traceback" not in shown
    assert SECRET not in shown
    assert "\x1b" not in shown
    [log] = log_folder().glob("crash-*.log")
    assert log.name in shown.replace("\n", "")
    assert "Traceback" in log.read_text("utf-8")


async def _crash(pilot: Pilot[None]) -> None:
    pilot.app.call_later(fail)
    await pilot.pause()


async def test_an_edit_is_kept_below_the_draft() -> None:
    """Both texts were typed."""
    app = StillPlayground("playground-dark", chosen=True)
    async with _expected(), app.run_test(size=(100, 30)) as pilot:
        await chat_answered(pilot)
        assert isinstance(app.screen, ChatScreen)
        await app.screen.composer.set_draft(Draft("a draft", (Attachment("a.txt", "text"),)))
        await app.screen.action_edit_last()
        await pilot.press("x")
        await _crash(pilot)
    kept = DraftFile(draft_file()).read()
    assert kept.text.startswith("a draft\n\n")
    assert kept.text.endswith("x")
    assert kept.attachments == (Attachment("a.txt", "text"),)


async def test_the_draft_below_another_screen_is_kept() -> None:
    """Also with a dialog above it."""
    app = StillPlayground("playground-dark", chosen=True)
    async with _expected(), app.run_test(size=(100, 30)) as pilot:
        await chat_empty(pilot)
        assert isinstance(app.screen, ChatScreen)
        app.screen.composer.box.load_text("half a prompt")
        await pilot.press("f4")
        await _crash(pilot)
    assert DraftFile(draft_file()).read() == Draft("half a prompt")


def test_a_bounded_number_of_logs_is_kept(tmp_path: Path) -> None:
    """Those of other apps that have ended; this one appends to its own."""
    for number in range(LOGS_KEPT + 5):
        (tmp_path / f"crash-{9_000_000 + number}.log").touch()
    written = write_crash_log(tmp_path, "first")
    assert write_crash_log(tmp_path, "second") == written
    assert written
    assert written.read_text("utf-8").count("---") == 2
    assert len(list(tmp_path.glob("crash-*.log"))) == LOGS_KEPT


def test_a_log_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert write_crash_log(tmp_path / "file", "details") is None


async def test_only_queries_of_what_leaves_are_ignored() -> None:
    """A query that fails on a screen which is shown is a bug, and another error of a closed one too."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await chat_empty(pilot)
        await pilot.press("f4")
        await pilot.pause()
        closed: Screen[object] = app.screen
        assert not is_late(_error_of(closed))
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is not closed
        assert is_late(_error_of(closed))
        assert not is_late(_error_of(app.screen))
        assert not is_late(ValueError())


def _error_of(screen: Screen[object]) -> NoMatches:
    with pytest.raises(NoMatches) as raised:
        screen.query_one("#nothing")
    return raised.value


def test_textual_has_the_hooks() -> None:
    """`GuardedApp` overrides them."""
    assert {
        "_handle_exception",
        "_fatal_error",
        "_print_error_renderables",
        "panic",
        "exit",
        "run_action",
    } <= set(vars(App))
    assert "_dispatch_message" in vars(MessagePump)
    assert {"dismiss", "get_widget_at", "get_widget_and_offset_at"} <= set(vars(Screen))

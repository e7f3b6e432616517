"""Which screens there are. Each is imported when first opened: the first frame waits for its own only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.screen import Screen

from app.interface import playground


class Navigation:
    """Opens screens above the chat, and returns to it."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._opened: dict[str, Screen[Any]] = {}
        """The latest screen of each name."""

    def shows(self, *names: str) -> bool:
        """Return whether one of these screens is on top."""
        return any(self._app.screen is self._opened.get(name) for name in names)

    def open(self, name: str) -> None:
        """Open a screen of SCREENS, unless it is shown already or a dialog is open."""
        if not self.shows(name) and (not self._app.screen.is_modal or name in ABOVE_DIALOGS):
            self._app.push_screen(self.create(name))

    def toggle(self, name: str) -> None:
        """Open a screen, or close it when it is shown."""
        if self.shows(name):
            self._app.pop_screen()
        else:
            self.open(name)

    def show_chat(self) -> None:
        """Close every screen above the chat."""
        while len(self._app.screen_stack) > 2:
            self._app.pop_screen()
        if not self.shows("chat"):  # the first start began with Prepare
            self._app.switch_screen(self.create("chat"))

    def create(self, name: str) -> Screen[Any]:
        """Return a new screen of SCREENS."""
        screen = self._opened[name] = SCREENS[name](self._app)
        return screen


def _chat(_: App[None]) -> Screen[Any]:
    from app.screens.chat import ChatScreen

    return ChatScreen()


def _prepare(app: App[None]) -> Screen[Any]:
    from app.screens.prepare import PrepareScreen

    return PrepareScreen(playground(app).settings, playground(app).device)


def _conversations(_: App[None]) -> Screen[Any]:
    from app.screens.conversations import ConversationsScreen

    return ConversationsScreen()


def _support(_: App[None]) -> Screen[Any]:
    from app.screens.support import SupportScreen

    return SupportScreen()


def _sampling(_: App[None]) -> Screen[Any]:
    from app.screens.sampling import SamplingScreen

    return SamplingScreen()


def _settings(_: App[None]) -> Screen[Any]:
    from app.screens.settings import SettingsScreen

    return SettingsScreen()


def _store(app: App[None]) -> Screen[Any]:
    from app.screens.store import StoreScreen

    return StoreScreen(playground(app).store)


def _help(app: App[None]) -> Screen[Any]:
    from app.screens.help import HelpScreen

    return HelpScreen(app.screen.focused)


SCREENS: dict[str, Callable[[App[None]], Screen[Any]]] = {
    "chat": _chat,
    "prepare": _prepare,
    "conversations": _conversations,
    "support": _support,
    "sampling": _sampling,
    "settings": _settings,
    "store": _store,
    "help": _help,
}
ABOVE_DIALOGS = frozenset({"help"})

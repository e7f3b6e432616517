"""Which screens there are. Each is imported when first opened: the first frame waits for its own only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.screen import Screen

from app.interface import playground
from app.keys import MAIN


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
        if self.shows(name) or (self._app.screen.is_modal and name not in ABOVE_DIALOGS):
            return
        if name == "chat":
            self.show_chat()
        elif name in MAIN:
            self._switch(name)
        else:
            self._app.push_screen(self.create(name))

    def _switch(self, name: str) -> None:
        """Show a main screen directly above the chat: the others are closed, so that they do not pile up."""
        opened = self._opened.get(name)
        lowest = next((place for place, one in enumerate(self._app.screen_stack) if one is opened), None)
        while len(self._app.screen_stack) > (3 if lowest is None else lowest + 1):
            self._app.pop_screen()
        if lowest is not None:
            return
        if len(self._app.screen_stack) == 3:
            self._app.switch_screen(self.create(name))
        else:
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
        if not self.shows("chat"):  # the first start began with Models
            self._app.switch_screen(self.create("chat"))

    def create(self, name: str) -> Screen[Any]:
        """Return a new screen of SCREENS."""
        screen = self._opened[name] = SCREENS[name](self._app)
        return screen


def _chat(_: App[None]) -> Screen[Any]:
    from app.screens.chat import ChatScreen

    return ChatScreen()


def _models(app: App[None]) -> Screen[Any]:
    from app.screens.models import ModelsScreen

    return ModelsScreen(playground(app).settings, playground(app).device)


def _compare(app: App[None]) -> Screen[Any]:
    from app.screens.compare import CompareScreen

    return CompareScreen(playground(app))


def _blind(_: App[None]) -> Screen[Any]:
    from app.screens.blind import BlindScreen

    return BlindScreen()


def _load(app: App[None]) -> Screen[Any]:
    from app.screens.load import LoadScreen

    return LoadScreen(playground(app))


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


def _quality(_: App[None]) -> Screen[Any]:
    from app.screens.quality import QualityScreen

    return QualityScreen()


def _go_to(_: App[None]) -> Screen[Any]:
    from app.screens.go_to import GoToScreen

    return GoToScreen()


def _help(app: App[None]) -> Screen[Any]:
    from app.screens.help import HelpScreen

    return HelpScreen(app.screen)


SCREENS: dict[str, Callable[[App[None]], Screen[Any]]] = {
    "chat": _chat,
    "models": _models,
    "compare": _compare,
    "blind": _blind,
    "load": _load,
    "conversations": _conversations,
    "support": _support,
    "sampling": _sampling,
    "settings": _settings,
    "store": _store,
    "quality": _quality,
    "go-to": _go_to,
    "help": _help,
}
ABOVE_DIALOGS = frozenset({"help"})

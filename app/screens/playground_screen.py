"""The base of the app's full screens."""

from __future__ import annotations

from textual import on
from textual.events import Mount
from textual.worker import Worker

from app.interface import PlaygroundApp, playground
from app.screens.guarded_screen import GuardedScreen
from app.terminal_text import displayable


class PlaygroundScreen(GuardedScreen[None]):
    """A screen that uses the app through its interface, and reports its background tasks to it.

    Attributes:
        about: text of the header after the title.
    """

    DEFAULT_CSS = """
    PlaygroundScreen.-unsaved HeaderTitle { color: $text-error; }
    """
    about = ""

    @on(Mount)
    def follow_unsaved(self) -> None:
        """Show in the header what is not saved, until it is saved."""
        self.playground.unsaved_changed.subscribe(self, lambda _: self.show_unsaved())
        self.show_unsaved()

    def show_unsaved(self) -> None:
        """Set the header: first what is not saved, because a narrow terminal cuts its end."""
        unsaved = displayable(self.playground.save_failures.text).replace("\n", " ")
        self.sub_title = " · ".join(filter(None, (unsaved, self.about)))
        self.set_class(bool(unsaved), "-unsaved")

    @property
    def playground(self) -> PlaygroundApp:
        """The app."""
        return playground(self)

    def keep_typed_text(self) -> None:
        """Save what is typed and not saved yet; called when an exception ends the app."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Pass the event on: Textual sends it only to the screen that started the task."""
        self.playground.on_worker_state_changed(event)

"""The base of the app's full screens."""

from __future__ import annotations

from textual.screen import Screen
from textual.worker import Worker

from app.interface import PlaygroundApp, playground


class PlaygroundScreen(Screen[None]):
    """A screen that uses the app through its interface, and reports its background tasks to it."""

    @property
    def playground(self) -> PlaygroundApp:
        """The app."""
        return playground(self)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Pass the event on: Textual sends it only to the screen that started the task."""
        self.playground.on_worker_state_changed(event)

"""A screen that survives keys and clicks which arrive while it, or one of its widgets, is being removed."""

from __future__ import annotations

from typing import Generic

from textual.await_complete import AwaitComplete
from textual.errors import NoWidget
from textual.geometry import Offset, Region
from textual.message import Message
from textual.screen import ScreenResultType
from textual.widget import Widget

from app.late_errors import late_errors_ignored
from app.screens.once_drawn_screen import OnceDrawnScreen


class GuardedScreen(OnceDrawnScreen[ScreenResultType], Generic[ScreenResultType]):
    """The base of every screen. A modal one names it last, so that its style is that of a modal screen."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close this screen with a result, unless it is closed already or another one is above it.

        Textual's closes whatever is on top: a second Esc that was queued before the first had been handled
        would close the screen below, and in the end the app's last one.
        """
        return super().dismiss(result) if self.is_current else AwaitComplete()

    async def _dispatch_message(self, message: Message) -> None:
        with late_errors_ignored(self):
            await super()._dispatch_message(message)

    def get_widget_at(self, x: int, y: int) -> tuple[Widget, Region]:
        """Return the widget at a place, and its region.

        Raises:
            NoWidget: there is none, or it has been removed and is only still drawn.
        """
        widget, region = super().get_widget_at(x, y)
        if not widget.is_attached:
            raise NoWidget(f"The widget at {x}, {y} has been removed")
        return widget, region

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return the widget at a place, and the offset in its text, for a selection; None without one.

        Textual asks a widget that has been removed for its parent's region, which ends the app.
        """
        widget, offset = super().get_widget_and_offset_at(x, y)
        return (widget, offset) if widget is not None and widget.is_attached else (None, None)

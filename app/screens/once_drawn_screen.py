"""A screen that is styled and laid out once while it opens, where Textual does each two or three times."""

from __future__ import annotations

from typing import Generic

from textual import events
from textual.geometry import Size
from textual.screen import Screen, ScreenResultType


class OnceDrawnScreen(Screen[ScreenResultType], Generic[ScreenResultType]):
    """Has the classes of its breakpoints before its widgets exist.

    Private methods of Textual are overridden, because a screen learns its size only once it is laid out: it
    is then styled and laid out again. `tests/app/screens/test_once_drawn.py` checks that nothing differs.
    """

    _is_opened = False

    async def _compose(self) -> None:
        size, classes = self.app.size, dict[str, bool]()
        for extent, breakpoints in (
            (size.width, self.HORIZONTAL_BREAKPOINTS or []),
            (size.height, self.VERTICAL_BREAKPOINTS or []),
        ):
            reached = self._get_breakpoint_classes(extent, breakpoints)
            classes |= {name: name in reached for _, name in breakpoints}
        self.update_classes(classes, update=False)
        self.update_node_styles(animate=False)  # the screen's own: its CSS is read after it was registered
        await super()._compose()

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        # Called before Textual's handler of the same name. Its widgets got their styles just now.
        if not self._is_opened:
            event.refresh_styles = False
        self._is_opened = True

    def _screen_resized(self, size: Size) -> None:
        # Textual also calls this for the size that the screen has just been laid out for.
        if size != self._compositor.size:
            super()._screen_resized(size)

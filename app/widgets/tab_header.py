"""The header of the main screens: one tab for each, then what the screen says about itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Click
from textual.widgets import Header, Static
from textual.widgets._header import HeaderIcon, HeaderTitle

from app.keys import MAIN, PLACES


class ScreenTab(Static):
    """A tab; a click opens its screen."""

    def __init__(self, number: int, name: str, *, is_current: bool) -> None:
        title = PLACES[number - 1].title
        label = Content.assemble((f"{number} ", "" if is_current else "$foreground-muted"), title)
        super().__init__(label, classes="-current" if is_current else "")
        self._target = name

    async def on_click(self, event: Click) -> None:
        """Open the screen; the header does not change its height."""
        event.stop()
        await self.app.run_action(f"open('{self._target}')")


class TabHeader(Header):
    """A header that names the four main screens with their digits."""

    DEFAULT_CSS = """
    TabHeader {
        layout: horizontal;

        HeaderIcon {
            width: 3;
        }

        HeaderTitle {
            width: 1fr;
            content-align: right middle;
            padding: 0 1;
        }

        ScreenTab {
            width: auto;
            padding: 0 1;

            &:hover {
                background: $foreground 10%;
            }

            &.-current {
                text-style: bold reverse;
            }
        }
    }

    /* A narrow header shows what is not saved instead of the tabs. */
    .-narrow.-unsaved TabHeader ScreenTab {
        display: none;
    }
    """

    def __init__(self, current: str) -> None:
        """Create it; `current` is the name of the screen, one of MAIN."""
        super().__init__()
        self._current = current

    def compose(self) -> ComposeResult:
        """Yield the icon of the palette, the tabs and the title."""
        yield HeaderIcon().data_bind(Header.icon)
        for number, name in enumerate(MAIN, 1):
            yield ScreenTab(number, name, is_current=name == self._current)
        yield HeaderTitle()

    def format_title(self) -> Content:
        """Return the screen's text about itself: the tabs show its name."""
        return Content(self.screen_sub_title)

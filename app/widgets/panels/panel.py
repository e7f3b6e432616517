"""Base class of the panels: draws the newest snapshot, without history and without causing layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.signal import Signal
from textual.widget import Widget

from app.state.side.pacing import BUSY_RATE
from app.state.side.phase import Phase
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.drawing import MUTED

NO_ENGINE = "No engine yet: choose one with F2"
PANEL_SECONDS, BUSY_PANEL_SECONDS = 0.4, 0.9
"""Minimum interval between updates. Faster changes are unreadable, and drawing takes time from the engines,
so the interval is longer while tokens come fast."""
FOLDED = "-folded"
"""Class of a panel that the user folded."""
FOLDED_HEIGHT = 1
"""Up to this number of lines a panel draws its folded form."""


class Panel(Widget, can_focus=True):
    """Draws the newest snapshot at the size given by the style sheet, `panels.tcss`."""

    BINDINGS = [  # noqa: RUF012
        Binding("f7,enter", "full_screen", "Full screen", id="panel.full_screen"),
        Binding("space", "fold", "Fold", id="panel.fold"),
    ]
    TITLE: ClassVar[str] = ""
    """Shown in the upper border."""
    LEGEND: ClassVar[str] = ""
    """Meaning of the glyphs, as markup; shown in the lower border."""
    SUMMARY: ClassVar[str] = ""
    """One sentence: the tooltip."""

    class Folded(Message):
        """The user folded a panel, or unfolded it."""

    def __init__(self, snapshots: Signal[Snapshot] | None = None) -> None:
        """Create a panel that follows `snapshots`; without a signal the owner calls `show`."""
        super().__init__()
        self.snapshots = snapshots
        self.snapshot: Snapshot | None = None
        """The snapshot shown now."""
        self.drawn: Content | None = None
        """The content on screen."""
        self._newest: Snapshot | None = None
        """The newest one, also while another screen hides the panel."""
        self._next: tuple[Snapshot, Size, Content] | None = None
        """Content that `show` drew for comparison, with its snapshot and size; `render` uses it."""
        self.border_title = self.TITLE
        self.border_subtitle = self._legend = self.LEGEND
        self.tooltip = Content(self.SUMMARY)

    def on_mount(self) -> None:
        """Subscribe to the snapshots, if there is a signal."""
        if self.snapshots is not None:
            self.snapshots.subscribe(self, self._follow)

    def _follow(self, snapshot: Snapshot) -> None:
        self._newest = snapshot
        pause = BUSY_PANEL_SECONDS if snapshot.decode_rate > BUSY_RATE else PANEL_SECONDS
        if self.snapshot is not None and snapshot.now - self.snapshot.now <= pause:
            return
        # A full screen on top hides the panel; a modal dialog does not.
        if self.app.screen is self.screen or self.app.screen.is_modal:
            self.show(snapshot)

    def show_newest(self) -> None:
        """Show the newest snapshot now, after another screen has hidden the panel."""
        if self._newest is not None and self._newest is not self.snapshot:
            self.show(self._newest)

    def show(self, snapshot: Snapshot) -> None:
        """Show `snapshot`; refresh only if the drawn content changes."""
        self.snapshot = snapshot
        self._show_legend()
        content = self._content()
        if self.drawn is None or not content.is_same(self.drawn):
            self._next = snapshot, self.content_size, content
            self.refresh()

    def on_resize(self) -> None:
        """Choose the legend for the new width."""
        self._show_legend()

    def _show_legend(self) -> None:
        if self.snapshot and self._legend != (legend := self.legend(self.snapshot)):
            self.border_subtitle = self._legend = legend

    def legend(self, snapshot: Snapshot) -> str:
        """Return the legend for `snapshot`, as markup."""
        return self.LEGEND

    def action_full_screen(self) -> None:
        """Maximize the panel, or restore it; Esc restores it too."""
        if self.screen.maximized is self:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height of the style sheet: Textual's grid layout calls this and ignores `height`."""
        height = self.styles.height
        cells = height.cells if height else None
        if cells is None:
            return super().get_content_height(container, viewport, width)
        return cells - self.styles.gutter.height

    def action_fold(self) -> None:
        """Fold the panel to one line, or unfold it."""
        if self.screen.maximized is not self:
            self.toggle_class(FOLDED)
            self.post_message(self.Folded())

    def on_click(self, event: events.Click) -> None:
        """Fold with a click on the title; unfold with a click on a folded panel."""
        if event.y == 0:
            self.action_fold()

    def render(self) -> RenderResult:
        """Return the content for the current size."""
        ready, self._next = self._next, None
        fits = ready and ready[0] is self.snapshot and ready[1] == self.content_size
        self.drawn = ready[2] if ready and fits else self._content()
        return self.drawn

    def _content(self) -> Content:
        width, height = self.content_size
        try:
            if self.snapshot is None:
                return self.empty()
            if height <= FOLDED_HEIGHT:
                return self.draw_folded(self.snapshot, width, height)
            return self.draw(self.snapshot, width, height)
        except Exception as error:  # a bug of one panel must not end the app
            self.log.error(error)
            return Content.styled(f"This panel cannot be drawn: {error!r}. Please report it.", "$text-error")

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Return the content for `width` by `height` cells; `height` is at least 2."""
        raise NotImplementedError

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Return the content as one line of `width` cells."""
        raise NotImplementedError

    def empty(self) -> Content:
        """Return the content without an engine; before the first snapshot nothing is known of engines."""
        title = (f"{self.TITLE}  ", "bold") if self.is_folded else ""
        return Content.assemble(title, (NO_ENGINE if self.snapshot else "", MUTED))

    @property
    def is_folded(self) -> bool:
        """Return whether the panel draws its folded form."""
        return self.content_size.height <= FOLDED_HEIGHT

    @property
    def is_displayed(self) -> bool:
        """Return whether the panel and all its ancestors are displayed."""
        return all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))


def has_engine(side: SideSnapshot) -> bool:
    """Return whether the side has, or is preparing, an engine."""
    return bool(side.title) or side.phase is not Phase.EMPTY


def sides(snapshot: Snapshot) -> tuple[tuple[str, str, SideSnapshot], ...]:
    """Return (letter, style, side) of both sides; the letter is readable without colours."""
    return (("L", "$left", _current(snapshot.left)), ("R", "$right", _current(snapshot.right)))


def _current(side: SideSnapshot) -> SideSnapshot:
    """Drop the memory figures of a failed engine, which are its last report before it died."""
    return replace(side, memory=None, kv=None) if side.phase is Phase.FAILED else side

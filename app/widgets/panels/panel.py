"""What every panel is: a display of the newest snapshot, with no history and no layout pass of its own."""

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

NO_ENGINE = "No engine yet: choose one with F2"
PANEL_SECONDS, BUSY_PANEL_SECONDS = 0.4, 0.9
"""Figures that change oftener cannot be read, and drawing them takes time from the engines: once a second is
enough while tokens come fast."""
FOLDED = "-folded"
"""Class of a panel that the user folded."""
FOLDED_HEIGHT = 1
"""With so many lines or fewer a panel draws its compact form."""


class Panel(Widget, can_focus=True):
    """Draws the newest snapshot at whatever size the style sheet gives it."""

    DEFAULT_CSS = """
    Panel {
        height: 10;
        border: round $foreground 25%;
        border-title-color: $foreground;
        border-subtitle-color: $foreground-muted;
        padding: 0 1;
        background: transparent;
        text-wrap: nowrap;
        text-overflow: ellipsis;

        &:focus {
            border: round $primary;
        }

        &.-folded {
            height: 1;
            border: none;

            &:focus {
                background: $primary 20%;
            }
        }
    }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("f7", "full_screen", "Full screen", id="panel.full_screen"),
        Binding("space", "fold", "Fold", id="panel.fold"),
    ]
    TITLE: ClassVar[str] = ""
    """Stands in the border."""
    LEGEND: ClassVar[str] = ""
    """What the glyphs mean, as markup; stands in the lower border."""
    SUMMARY: ClassVar[str] = ""
    """One sentence: the tooltip."""

    class Folded(Message):
        """The user folded a panel, or unfolded it."""

    def __init__(
        self,
        snapshots: Signal[Snapshot] | None = None,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        """Create a panel that follows `snapshots`; without them, `show` is called by somebody else."""
        super().__init__(name=name, id=id, classes=classes)
        self.snapshots = snapshots
        self.snapshot: Snapshot | None = None
        """What is shown now."""
        self._drawn: Content | None = None
        """What the screen shows."""
        self._next: tuple[Snapshot, Size, Content] | None = None
        """What was drawn to be compared with it, and of what: so that nothing is drawn twice."""
        self.border_title = self.TITLE
        self.border_subtitle = self._legend = self.LEGEND
        self.tooltip = Content(self.SUMMARY)

    def on_mount(self) -> None:
        """Follow the snapshots, if we were given any."""
        if self.snapshots is not None:
            self.snapshots.subscribe(self, self._follow)

    def _follow(self, snapshot: Snapshot) -> None:
        pause = BUSY_PANEL_SECONDS if snapshot.decode_rate > BUSY_RATE else PANEL_SECONDS
        if self.snapshot is not None and snapshot.now - self.snapshot.now <= pause:
            return
        # Below another screen nobody looks; a dialog lets it be seen.
        if self.app.screen is self.screen or self.app.screen.is_modal:
            self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Draw `snapshot` instead of the last one, if it looks any different."""
        self.snapshot = snapshot
        self._show_legend()
        content = self._content()
        if self._drawn is None or not content.is_same(self._drawn):
            self._next = snapshot, self.content_size, content
            self.refresh()

    def on_resize(self) -> None:
        """The legend may have more room, or less."""
        self._show_legend()

    def _show_legend(self) -> None:
        if self.snapshot and self._legend != (legend := self.legend(self.snapshot)):
            self.border_subtitle = self._legend = legend

    def legend(self, snapshot: Snapshot) -> str:
        """What the glyphs mean that are drawn of `snapshot`, as markup."""
        return self.LEGEND

    def action_full_screen(self) -> None:
        """Fill the screen, or give it back; Esc gives it back too."""
        if self.screen.maximized is self:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """What the style sheet says: a grid's row asks here, and looks at no style."""
        height = self.styles.height
        cells = height.cells if height else None
        if cells is None:
            return super().get_content_height(container, viewport, width)
        return cells - self.styles.gutter.height

    def action_fold(self) -> None:
        """Shrink to one line, or grow again."""
        if self.screen.maximized is not self:
            self.toggle_class(FOLDED)
            self.post_message(self.Folded())

    def on_click(self, event: events.Click) -> None:
        """A click on the title folds, one on a folded panel unfolds it."""
        if event.y == 0:
            self.action_fold()

    def render(self) -> RenderResult:
        """Draw at the present size."""
        ready, self._next = self._next, None
        fits = ready and ready[0] is self.snapshot and ready[1] == self.content_size
        self._drawn = ready[2] if ready and fits else self._content()
        return self._drawn

    def _content(self) -> Content:
        width, height = self.content_size
        if self.snapshot is None:
            return self.empty()
        if height <= FOLDED_HEIGHT:
            return self.draw_folded(self.snapshot, width, height)
        return self.draw(self.snapshot, width, height)

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """The panel's content in `width` by `height` cells, two lines high at least."""
        raise NotImplementedError

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """The panel's content in one line."""
        raise NotImplementedError

    def empty(self) -> Content:
        """What is shown before anything was measured."""
        return Content.assemble(
            (f"{self.TITLE}  ", "bold") if self.is_folded else "", (NO_ENGINE, "$foreground-muted")
        )

    @property
    def is_folded(self) -> bool:
        """Is there room for the compact form only?"""
        return self.content_size.height <= FOLDED_HEIGHT

    @property
    def is_displayed(self) -> bool:
        """Is neither the panel nor what holds it hidden?"""
        return all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))


def has_engine(side: SideSnapshot) -> bool:
    """Is there anything to say about this side?"""
    return bool(side.title) or side.phase is not Phase.EMPTY


def sides(snapshot: Snapshot) -> tuple[tuple[str, str, SideSnapshot], ...]:
    """(letter, style, side) of both: the letter tells them apart where there is no colour."""
    return (("L", "$left", _living(snapshot.left)), ("R", "$right", _living(snapshot.right)))


def _living(side: SideSnapshot) -> SideSnapshot:
    """A dead engine holds nothing: what it reported last is no figure of now."""
    return replace(side, memory=None, kv=None) if side.phase is Phase.FAILED else side

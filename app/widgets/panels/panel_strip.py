"""The strip of panels; `panels.tcss` lays it out by the screen's breakpoints."""

from __future__ import annotations

from collections.abc import Collection

from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import var
from textual.signal import Signal

from app.state.side.snapshot import Snapshot
from app.widgets.panels.answer_panel import AnswerPanel
from app.widgets.panels.device import DevicePanel
from app.widgets.panels.kv_blocks import KVBlocksPanel
from app.widgets.panels.memory_panel import MemoryPanel
from app.widgets.panels.panel import FOLDED, Panel
from app.widgets.panels.throughput import ThroughputPanel

HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
"""For screens with a strip: (minimum width, class); the last one that matches is set."""
VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall"), (36, "-high"), (52, "-towering")]
"""For screens with a strip: (minimum height, class); the last one that matches is set."""


class PanelStrip(Container):
    """All panels: in two rows, or folded to three lines on small terminals."""

    shown: var[bool] = var(True)
    """Whether the panels are displayed."""

    def __init__(
        self,
        snapshots: Signal[Snapshot],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        """Create a strip whose panels follow `snapshots`."""
        super().__init__(id=id)
        self.snapshots = snapshots

    def compose(self) -> ComposeResult:
        """Yield the panels, throughput first because it is the most watched."""
        yield ThroughputPanel(self.snapshots)
        yield KVBlocksPanel(self.snapshots)
        yield AnswerPanel(self.snapshots)
        yield MemoryPanel(self.snapshots)
        yield DevicePanel(self.snapshots)

    @property
    def folded(self) -> tuple[str, ...]:
        """Return the titles of the folded panels."""
        return tuple(panel.TITLE for panel in self.query_children(Panel) if panel.has_class(FOLDED))

    def fold(self, titles: Collection[str]) -> None:
        """Fold the panels with these titles and unfold all others."""
        for panel in self.query_children(Panel):
            panel.set_class(panel.TITLE in titles, FOLDED)

    def show_newest(self) -> None:
        """Let all panels show the newest snapshot now."""
        for panel in self.query_children(Panel):
            panel.show_newest()

    def watch_shown(self, shown: bool) -> None:
        """Remove the hidden strip from the layout."""
        self.display = shown

"""The strip of panels. How they stand is a matter of the style sheet, by the screen's breakpoints."""

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
"""For a screen that holds a strip: classes by width, of which the widest that matches is set."""
VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall"), (36, "-high"), (52, "-towering")]
"""For a screen that holds a strip: classes by height, of which the largest that matches is set."""


class PanelStrip(Container):
    """All panels: in a row, in two columns, or folded to three lines."""

    shown: var[bool] = var(True)
    """Are the panels to be seen?"""

    def __init__(
        self,
        snapshots: Signal[Snapshot] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        """Create a strip whose panels follow `snapshots`; without them, `show` passes one on."""
        super().__init__(id=id, classes=classes)
        self.snapshots = snapshots

    def compose(self) -> ComposeResult:
        """Throughput first: it is what people look at."""
        yield ThroughputPanel(self.snapshots)
        yield KVBlocksPanel(self.snapshots)
        yield AnswerPanel(self.snapshots)
        yield MemoryPanel(self.snapshots)
        yield DevicePanel(self.snapshots)

    def show(self, snapshot: Snapshot) -> None:
        """Pass a snapshot to every panel."""
        for panel in self.query_children(Panel):
            panel.show(snapshot)

    @property
    def folded(self) -> tuple[str, ...]:
        """Titles of the panels that are folded."""
        return tuple(panel.TITLE for panel in self.query_children(Panel) if panel.has_class(FOLDED))

    def fold(self, titles: Collection[str]) -> None:
        """Fold these panels and no others."""
        for panel in self.query_children(Panel):
            panel.set_class(panel.TITLE in titles, FOLDED)

    def toggle(self) -> None:
        """Hide the panels, or show them again."""
        self.shown = not self.shown

    def watch_shown(self, shown: bool) -> None:
        """Take no room while hidden."""
        self.display = shown

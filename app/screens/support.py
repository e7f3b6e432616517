"""What runs here: every precision with every backend on every device, and how that is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Static

from app.widgets.panels.drawing import MUTED
from app.widgets.prepare.precision_list import STATES
from engines.backends.registry import BACKENDS
from engines.plan.hardware.hardware import Device, devices
from engines.plan.precision import PRECISIONS, rule, support

if TYPE_CHECKING:
    from app.playground import Playground

LEGEND = "● native   ◐ partial: stored in this format, computed in another   ○ unavailable"


class SupportScreen(Screen[None]):
    """A table of states; the lines below it explain the one under the cursor."""

    TITLE = "What runs here"
    HELP = """\
# What runs here

● **native**, ◐ **partial** (stored in this format, computed in another), ○ **unavailable**. Move the cursor
to see the reason, the remedy and the source. `trt-playground doctor` prints the same.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape,f12", "back", "Back", id="support.back"),
    ]
    DEFAULT_CSS = """
    SupportScreen {
        DataTable {
            height: auto;
            max-height: 1fr;
            scrollbar-size: 1 1;
        }

        #support-why {
            height: auto;
            min-height: 6;
            padding: 1 2;
        }
    }
    """
    app: Playground

    def __init__(self) -> None:
        super().__init__()
        self._devices: list[Device] = []

    def compose(self) -> ComposeResult:
        """The table, and why."""
        yield Header()
        yield DataTable(cursor_type="cell", zebra_stripes=True)
        yield Static(LEGEND, id="support-why", markup=False)
        yield Footer(compact=True)

    async def on_mount(self) -> None:
        """Ask for all devices off the event loop; the app's own is there already."""
        await self.app.find_interpreters()
        others = await asyncio.to_thread(devices)
        ours = self.app.device
        self._devices = [ours, *(one for one in others if one.name != ours.name)]
        table = self.query_one(DataTable)
        table.add_column("device")
        table.add_column("precision")
        for entry in BACKENDS.values():
            table.add_column(entry.title, width=max(len(entry.title), len("○ unavailable")))
        for place, device in enumerate(self._devices):
            for name, precision in PRECISIONS.items():
                states = (_state(backend, name, device) for backend in BACKENDS)
                first = device.name if name == next(iter(PRECISIONS)) else ""
                table.add_row(first, precision.title, *states, key=f"{place} {name}")
        table.move_cursor(row=0, column=2)

    @on(DataTable.CellHighlighted)
    def explain(self, event: DataTable.CellHighlighted) -> None:
        """Say why the cell under the cursor is what it is."""
        place, _, name = str(event.cell_key.row_key.value).partition(" ")
        column = event.coordinate.column - 2
        device = self._devices[int(place)]
        head = f"{device.name}: {device.title}"
        if column < 0:
            lines = [
                Content(head),
                Content(PRECISIONS[name].description),
                Content.styled(LEGEND, MUTED),
            ]
        else:
            lines = _reasons(list(BACKENDS)[column], name, device, head)
        self.query_one("#support-why", Static).update(Content("\n").join(lines))

    def action_back(self) -> None:
        """To the screen below."""
        self.app.pop_screen()


def _state(backend: str, precision: str, device: Device) -> Content:
    glyph, style, word = STATES[support(backend, precision, device).state]
    return Content.assemble((f"{glyph} {word}", style))


def _reasons(backend: str, precision: str, device: Device, head: str) -> list[Content]:
    found, row = support(backend, precision, device), rule(backend, precision, device)
    glyph, style, word = STATES[found.state]
    title = f"{PRECISIONS[precision].title} with {BACKENDS[backend].title}"
    lines = [
        Content.assemble((f"{glyph} {title}: {word}", style), (f"   {head}", MUTED)),
        Content(f"{found.reason} {found.remedy}".strip()),
    ]
    if row:
        lines.append(Content.styled(f"Source: {row.source}", MUTED))
    return [*lines, Content.styled(LEGEND, MUTED)]

"""Backend support: the state of every precision with every backend on every device, and its source."""

from __future__ import annotations

import asyncio

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import DataTable, Header, Static

from app.screens.playground_screen import PlaygroundScreen
from app.widgets.key_footer import KeyFooter
from app.widgets.panels.drawing import MUTED
from app.widgets.prepare.precision_list import STATES
from engines.backends.registry import BACKENDS, LOCAL
from engines.plan.hardware.hardware import Device, devices
from engines.plan.precision import PRECISIONS, rule, support

MEANINGS = {"partial": ": stored in this format, computed in another"}
LEGEND = "   ".join(f"{glyph} {word}{MEANINGS.get(state, '')}" for state, (glyph, _, word) in STATES.items())
STATE_WIDTH = max(len(f"{glyph} {word}") for glyph, _, word in STATES.values())


class SupportScreen(PlaygroundScreen):
    """A table of states; the lines below it explain the cell under the cursor."""

    TITLE = "Backend support"
    HELP = f"""\
# Backend support

{LEGEND}

Move the cursor to a cell: the lines below the table show the reason, what would change it, and the
measurement or document that it is based on. `trt-playground doctor` prints the same.
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

    def __init__(self) -> None:
        super().__init__()
        self._devices: list[Device] = []

    def compose(self) -> ComposeResult:
        """Yield the table and the explanation below it."""
        yield Header()
        yield DataTable(cursor_type="cell", zebra_stripes=True)
        yield Static(LEGEND, id="support-why", markup=False)
        yield KeyFooter()

    async def on_mount(self) -> None:
        """Fill the table with all devices; GPUs are looked up in a thread, as NVML takes a while to start."""
        app = self.playground
        await app.find_interpreters()
        found = await asyncio.to_thread(devices)
        self._devices = [app.device, *(device for device in found if device.name != app.device.name)]
        table = self.query_one(DataTable)
        table.add_column("device")
        table.add_column("precision")
        for entry in LOCAL.values():
            table.add_column(entry.title, width=max(len(entry.title), STATE_WIDTH))
        for index, device in enumerate(self._devices):
            for name, precision in PRECISIONS.items():
                states = (_state(backend, name, device) for backend in LOCAL)
                first = device.name if name == next(iter(PRECISIONS)) else ""
                table.add_row(first, precision.title, *states, key=f"{index} {name}")
        table.move_cursor(row=0, column=2)

    @on(DataTable.CellHighlighted)
    def explain(self, event: DataTable.CellHighlighted) -> None:
        """Show the reason and the source of the state under the cursor."""
        index, _, name = str(event.cell_key.row_key.value).partition(" ")
        column = event.coordinate.column - 2
        device = self._devices[int(index)]
        head = f"{device.name}: {device.title}"
        if column < 0:
            lines = [
                Content(head),
                Content(PRECISIONS[name].description),
                Content.styled(LEGEND, MUTED),
            ]
        else:
            lines = _reasons(list(LOCAL)[column], name, device, head)
        self.query_one("#support-why", Static).update(Content("\n").join(lines))

    def action_back(self) -> None:
        """Close the screen."""
        self.dismiss()


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

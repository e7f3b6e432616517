"""The engine inspector: what a stored engine is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from textwrap import wrap

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Header, Input, Static, Tab, Tabs

from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.export import free_path
from app.state.prepare.engine_inspection import (
    TITLES,
    Line,
    cells,
    engine_lines,
    fused_text,
    inspection_lines,
    why_empty,
    write_csv,
)
from app.state.prepare.engine_titles import stored_title
from app.state.settings.paths import document_folder
from app.terminal_text import displayable
from app.units import count_text
from app.widgets.inspect.row_table import RowTable
from app.widgets.key_footer import KeyFooter
from app.widgets.panels.drawing import MUTED
from engines.build.stored_engine import StoredEngine, damage
from engines.errors import EngineError, error_text
from engines.inspect.inspection import Inspection, Listing, Row, largest_first, matching, slowest_first
from engines.inspect.process import inspect_folder

SUMMARY = "summary"
LABEL_WIDTH = 16
SHORTEST_TEXT, MARGINS = 20, 6
Sort = Callable[[Iterable[Row]], list[Row]]
ORDERS: dict[str, Sort] = {
    "in the order of the file": list,
    "largest weights first": largest_first,
    "slowest first": slowest_first,
}
"""What sorts a list, by name."""


class InspectScreen(PlaygroundScreen):
    """Tabs: a summary, the nodes of the graph, the layers of the network, those of the compiled engine."""

    TITLE = "Engine inspector"
    CSS_PATH = "../styles/inspect.tcss"
    AUTO_FOCUS = "#inspect-text"
    HELP = """\
# Engine inspector

What a stored engine is made of: the nodes of its ONNX graph, the layers that its library parsed from them,
and the layers that it compiled, where a GPU has run the engine. **Weights** and **bytes** are those of the
constants that a node reads, also through DequantizeLinear; **precision** is that of its output. The line
below the table shows the whole name, and what was fused, where the library says so.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("slash", "search", "Search", id="inspect.search", key_display="/"),
        Binding("left_square_bracket", "tab(-1)", "Previous list", show=False, id="inspect.previous"),
        Binding("right_square_bracket", "tab(1)", "Next list", id="inspect.next", key_display="]"),
        Binding("s", "sort", "Sort", id="inspect.sort"),
        Binding("e", "export", "Export", id="inspect.export"),
        Binding("down", "to_list", show=False),
        Binding("escape,f8", "back", "Back", id="inspect.back"),
    ]

    def __init__(self, entry: StoredEngine) -> None:
        super().__init__()
        self._entry = entry
        self._found: Inspection | None = None
        self._lines: list[Line] = list(engine_lines(entry))
        self._state = "Reading its files …"
        self._is_wrong = False
        self._order = next(iter(ORDERS))
        self._tab = SUMMARY
        self.title = f"{self.TITLE}: {stored_title(entry.spec)}"

    def compose(self) -> ComposeResult:
        """Tabs; the search, the table and the row under its cursor, or a text in their place."""
        yield Header()
        yield Tabs(Tab("Summary", id=SUMMARY), *(Tab(title, id=name) for name, title in TITLES.items()))
        yield Input(placeholder="/ search names and kinds", compact=True)
        yield RowTable()
        with VerticalScroll(id="inspect-text"):
            yield Static(id="inspect-lines")
        yield Static(id="inspect-row")
        yield Static(id="inspect-note", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the engine's files."""
        self.read()

    @work(group="read", exclusive=True, exit_on_error=False)
    async def read(self) -> None:
        """Read the files of the engine, in another process, and check their sizes in a thread."""
        try:
            damaged = await asyncio.to_thread(damage, self._entry)
            self._found = await inspect_folder(self._entry.directory)
        except (EngineError, OSError) as error:
            self._state = (
                error_text(error) if isinstance(error, EngineError) else f"It cannot be read: {error}"
            )
            self._is_wrong = True
        else:
            self._state, self._is_wrong = (
                f"The engine is damaged: {damaged}." if damaged else "",
                bool(damaged),
            )
            self._lines += inspection_lines(self._entry, self._found)
            self._label_tabs(self._found)
        self.show_list()

    def _label_tabs(self, found: Inspection) -> None:
        for listing in found:
            tab = self.query_one(f"Tab#{listing.name}", Tab)
            count = len(listing.rows) + listing.omitted
            if listing.problem or count:
                tab.label = Content(f"{TITLES[listing.name]} {count_text(count) if count else '!'}")

    @property
    def listing(self) -> Listing | None:
        """The list of the tab; None for the summary, and before the files are read."""
        return next((one for one in self._found or () if one.name == self._tab), None)

    @on(Tabs.TabActivated)
    def change_tab(self, event: Tabs.TabActivated) -> None:
        """Show another list."""
        self._tab = event.tab.id or SUMMARY
        self._order = next(iter(ORDERS))
        self.show_list()

    @on(Input.Changed)
    def show_list(self) -> None:
        """Show the tab: the rows that the search finds, or a text."""
        listing, table = self.listing, self.query_one(RowTable)
        has_rows = listing is not None and bool(listing.rows)
        typing = self.query_one(Input).has_focus
        for part in (self.query_one(Input), table, self.query_one("#inspect-row")):
            part.display = has_rows
        self.query_one("#inspect-text").display = not has_rows
        if has_rows and not typing:
            table.focus()
        elif not has_rows and self.focused not in (None, self.query_one(Tabs)):
            self.query_one("#inspect-text").focus()
        self.refresh_bindings()
        if listing is None or not has_rows:
            self._show_text(listing)
            return
        rows = ORDERS[self._order](matching(listing.rows, self.query_one(Input).value))
        self._note(listing, rows)
        self._show_row(rows[0] if rows else None)
        table.show(rows)

    def _show_text(self, listing: Listing | None) -> None:
        """Show the summary, or why a list is empty."""
        lines = self.query_one("#inspect-lines", Static)
        if listing is not None and self._found:
            lines.update(Content(why_empty(self._entry, self._found, listing)))
            lines.set_class(bool(listing.problem), "-wrong")
        elif self._tab == SUMMARY:
            width = max(SHORTEST_TEXT, self.app.size.width - LABEL_WIDTH - MARGINS)
            lines.update(Content("\n").join(part for line in self._lines for part in _wrapped(line, width)))
            lines.set_class(False, "-wrong")
        else:
            lines.update("")
        self._note(listing, [])

    def _note(self, listing: Listing | None, rows: list[Row]) -> None:
        """Show what is listed, after what is wrong with the engine."""
        note, words = self.query_one("#inspect-note", Static), list[str]()
        if listing is not None and listing.rows:
            words = _counts(listing, rows, self._order)
            if listing.problem:
                words.insert(0, listing.problem)
        if self._state:
            words.insert(0, self._state)
        note.update(displayable(" ".join(words)))
        note.set_class(self._is_wrong or bool(listing and listing.problem), "-wrong")

    @on(RowTable.Moved)
    def describe_row(self) -> None:
        """Show the whole row under the cursor."""
        self._show_row(self.query_one(RowTable).row)

    def _show_row(self, row: Row | None) -> None:
        parts = list[Content]()
        if row:
            name, *others = cells(row)
            parts = [Content(name), Content.styled("   ".join(filter(None, others)), MUTED)]
            if fused := fused_text(row):
                parts.append(Content.assemble(("fused: ", MUTED), fused))
        self.query_one("#inspect-row", Static).update(Content("\n").join(parts))

    def action_tab(self, step: int) -> None:
        """Show the previous or next tab."""
        names = [SUMMARY, *TITLES]
        self.query_one(Tabs).active = names[(names.index(self._tab) + step) % len(names)]

    def action_search(self) -> None:
        """Focus the search; from the summary, that of the first list."""
        if self.listing is None or not self.listing.rows:
            filled = next((one.name for one in self._found or () if one.rows), "")
            if not filled:
                self.notify("This engine has no nodes or layers to search.", severity="warning")
                return
            self.query_one(Tabs).active = filled
        entry = self.query_one(Input)
        entry.display = True
        entry.focus()

    def action_to_list(self) -> None:
        """Focus the list."""
        self.query_one(RowTable).focus()

    @on(Input.Submitted)
    def leave_search(self) -> None:
        """Focus the list."""
        self.action_to_list()

    def action_sort(self) -> None:
        """Change the order of the list."""
        if self.listing is not None:
            orders = list(ORDERS)
            self._order = orders[(orders.index(self._order) + 1) % len(orders)]
            self.show_list()

    def action_export(self) -> None:
        """Write every list as CSV."""
        if self._found is None:
            self.notify("The files are not read: there is nothing to export.", severity="warning")
        else:
            self._export(self._found)

    @work(group="export", exclusive=True, exit_on_error=False)
    async def _export(self, found: Inspection) -> None:
        title = f"{stored_title(self._entry.spec)} {self._entry.fingerprint[:8]}"
        try:
            path = await asyncio.to_thread(lambda: free_path(document_folder(), title, ".csv"))
            await asyncio.to_thread(write_csv, found, path)
        except OSError as error:
            self.notify(f"It cannot be written: {error}", severity="error", markup=False)
        else:
            self.notify(f"Written: {displayable(str(path))}", timeout=8, markup=False)

    def on_resize(self, _: Resize) -> None:
        """Fit the names, or the summary, into the new width."""
        if self.listing is not None and self.listing.rows:
            self.query_one(RowTable).fit()
        elif self.is_mounted:
            self._show_text(self.listing)

    def action_back(self) -> None:
        """End the search, then leave."""
        search = self.query_one(Input)
        if search.display and (search.value or search.has_focus):
            search.clear()
            self.action_to_list()
        else:
            self.dismiss()


def _wrapped(line: Line, width: int) -> Iterator[Content]:
    """Yield a line of the summary; the rest of a long text is below its start."""
    label, text = line
    for part in wrap(text, width) or [""]:
        yield Content.assemble((f"{label:<{LABEL_WIDTH}}", MUTED), part)
        label = ""


def _counts(listing: Listing, rows: list[Row], order: str) -> list[str]:
    """Return how many rows there are, match and are listed, and in which order."""
    total = len(listing.rows) + listing.omitted
    words = [f"{count_text(len(rows))} of {count_text(total)}" if len(rows) != total else count_text(total)]
    if listing.omitted:
        words.append(f"(only the first {count_text(len(listing.rows))} are read)")
    return [f"{' '.join(words)}, {order}."]

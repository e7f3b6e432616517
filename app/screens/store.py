"""The engine store: what has been built, how large it is, and a key to delete it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import DataTable, Header, Static

from app.screens.playground_screen import PlaygroundScreen
from app.state.prepare.engine_titles import stored_checkpoint, stored_title
from app.terminal_text import displayable
from app.units import bytes_text, seconds_text
from app.widgets.forms.confirm_twice import ConfirmTwice
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedTable
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine, StoreEntry, UnreadableEngine, damage


@dataclass(frozen=True)
class StoreRow:
    """An entry of the store, with the cells that show it."""

    entry: StoreEntry
    cells: list[str]

    @property
    def key(self) -> str:
        """Folder and name: an unfinished build and an engine may have the same name."""
        return str(self.entry.directory)


class StoreScreen(PlaygroundScreen):
    """A table of engines, and of folders that only can be deleted."""

    TITLE = "Engine store"
    HELP = """\
# Engine store

Built engines, newest first, then what this release cannot read: damaged, of another release, or left by a
build that died. **Enter** shows what an engine is made of. **Delete**, pressed twice, removes one.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("i", "inspect", "Inspect"),
        Binding("escape,f8", "back", "Back"),
        Binding("delete,d", "remove", "Delete"),
    ]
    DEFAULT_CSS = """
    StoreScreen {
        DataTable {
            height: auto;
            max-height: 1fr;
            scrollbar-size: 0 1;
        }

        #store-note {
            padding: 1 2;
            color: $text-muted;
        }
    }
    """

    def __init__(self, store: EngineStore) -> None:
        super().__init__()
        self._store = store
        self._rows: dict[str, StoreRow] = {}
        self._confirmation = ConfirmTwice(self)

    def compose(self) -> ComposeResult:
        """Table and total."""
        yield Header()
        yield MarkedTable(cursor_type="row", zebra_stripes=True)
        yield Static(id="store-note")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the manifests."""
        self.query_one(DataTable).add_columns("engine", "checkpoint", "size", "build", "built", "state")
        self.list_engines()

    @work(group="list", exclusive=True, exit_on_error=False)
    async def list_engines(self) -> None:
        """Fill the table. Manifests, sizes and the check of every file are read in a thread."""
        note = self.query_one("#store-note", Static)
        try:
            rows = await asyncio.to_thread(read_rows, self._store)
        except OSError as error:
            note.update(Content(f"The store cannot be read: {error}"))
            return
        self._rows = {row.key: row for row in rows}
        table = self.query_one(DataTable)
        place = table.cursor_row
        table.clear()
        for row in rows:
            table.add_row(*map(Text, row.cells), key=row.key)
        table.move_cursor(row=min(place, len(rows) - 1))
        note.update(Content(_note(self._store, rows)))

    @property
    def selected(self) -> StoreRow | None:
        """The row under the cursor."""
        table = self.query_one(DataTable)
        if not self._rows or not table.is_valid_coordinate(table.cursor_coordinate):
            return None
        return self._rows.get(str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value))

    @on(DataTable.RowHighlighted)
    def reset_confirmation(self) -> None:
        """Ask again once the cursor is on another row."""
        row = self.selected
        self._confirmation.select(row.key if row else None)

    def action_back(self) -> None:
        """Close this screen."""
        self.dismiss()

    @on(DataTable.RowSelected)
    def action_inspect(self) -> None:
        """Show what the engine under the cursor is made of."""
        if (row := self.selected) is None:
            return
        if isinstance(row.entry, UnreadableEngine):
            reason = displayable(row.entry.reason)
            self.notify(f"It cannot be inspected: {reason}.", severity="warning", markup=False)
            return
        from app.screens.inspect import InspectScreen

        self.app.push_screen(InspectScreen(row.entry))

    def action_remove(self) -> None:
        """Delete the entry under the cursor when the key is pressed twice: a build may take hours."""
        if (row := self.selected) is None:
            return
        if self._confirmation.press(row.key):
            self._delete(row)
            return
        words = f"Press again to delete {row.cells[0]}, {bytes_text(row.entry.size)}."
        self.notify(words, severity="warning", markup=False)

    @work(group="delete", exit_on_error=False)
    async def _delete(self, row: StoreRow) -> None:
        try:
            await asyncio.to_thread(self._store.remove, row.entry)
        except OSError as error:
            self.notify(f"It cannot be deleted: {error}", severity="error", markup=False)
        self.list_engines()


def read_rows(store: EngineStore) -> list[StoreRow]:
    """Return every entry of the store with its cells. Stats every file: never on the event loop.

    Raises:
        OSError: the store cannot be read.
    """
    engines = [StoreRow(entry, _engine_cells(entry)) for entry in store.engines()]
    return engines + [StoreRow(entry, _unreadable_cells(entry)) for entry in store.unreadable()]


def _engine_cells(entry: StoredEngine) -> list[str]:
    manifest, problem = entry.manifest, damage(entry)
    return [
        stored_title(entry.spec),
        stored_checkpoint(entry),
        bytes_text(entry.size),
        seconds_text(manifest.build_seconds),
        datetime.fromtimestamp(manifest.built_at).astimezone().strftime("%Y-%m-%d %H:%M"),
        displayable(f"damaged: {problem}") if problem else "OK",
    ]


def _unreadable_cells(entry: UnreadableEngine) -> list[str]:
    return [displayable(entry.fingerprint), "", bytes_text(entry.size), "", "", displayable(entry.reason)]


def _note(store: EngineStore, rows: list[StoreRow]) -> str:
    if not rows:
        return f"No engine has been built yet. They will be stored in {store.root}."
    built = sum(isinstance(row.entry, StoredEngine) for row in rows)
    total = bytes_text(sum(row.entry.size for row in rows))
    note = f"{built} engine{'' if built == 1 else 's'}, {total} total, in {store.root}"
    if len(rows) > built:
        note += f"\n{len(rows) - built} unreadable: this release does not use them. Delete frees their space."
    return note
